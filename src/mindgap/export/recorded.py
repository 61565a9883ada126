"""How an exported file predicts the images that its run predicted itself, in the types that it was computed in.

A run that computes in bfloat16 has figures of that arithmetic; a file is in float32, or in 8-bit integers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindgap.audit.record import Record
from mindgap.core.errors import DataError
from mindgap.data.image_store import Store
from mindgap.export.agreement import Probabilities
from mindgap.export.paired_change import paired_changes
from mindgap.metrics.predictions import (
    MultiLabelPredictions,
    Predictions,
    predictions_from_arrays,
    read_predictions,
)
from mindgap.train.modes import types_of
from mindgap.train.store_predictions import to_predictions
from mindgap.train.trained_model import TrainedModel

PREDICTIONS_FILE = "predictions.parquet"
_FIGURES = ("types", "n", "decisions", "otherwise", "recorded", "exported", "change")


def compare_recorded(
    model: TrainedModel, store: Store | None, rows: NDArray[np.int64], probabilities: Probabilities, *, replicates: int
) -> Record:
    """What the file predicts otherwise than the run recorded of the same validation images, and the accuracy of each.

    Of a mitigation that predicts by each image's group the recorded predictions are by the groups, the file's are not.

    Args:
        model: of the run.
        store: that it was trained on; None if it is gone.
        rows: int64 (n,), validation images of the store.
        probabilities: the file's, float64 (n, C).
        replicates: of the interval of the change.

    Returns:
        ``types`` that the run computed in (None where it does not say), ``n`` images, ``decisions`` (one per image, or
        per image and label), how many of them are ``otherwise``, the accuracies ``recorded`` and ``exported`` (of
        several labels their mean), and ``change``, V of their difference; all None with a ``reason`` where the run has
        no such predictions.
    """
    try:
        if store is None:
            raise DataError("the run's store is gone, and with it the images")
        recorded = _recorded(model, store, rows)
    except DataError as error:
        return {**dict.fromkeys(_FIGURES), "reason": str(error)}
    exported = _one(to_predictions(store, rows, probabilities))
    change = paired_changes(recorded, exported, replicates=replicates)["accuracy"]
    return {
        "types": _types(model),
        "n": len(rows),
        "decisions": recorded.n,
        "otherwise": int((recorded.predicted != exported.predicted).sum()),
        "recorded": float((recorded.predicted == recorded.labels).mean()),
        "exported": float((exported.predicted == exported.labels).mean()),
        "change": change,
        "reason": None,
    }


def _recorded(model: TrainedModel, store: Store, rows: NDArray[np.int64]) -> Predictions:
    """The run's own predictions of the rows.

    Raises:
        DataError: it has none of them.
    """
    path = model.path / PREDICTIONS_FILE
    if not path.is_file():
        raise DataError(f"the run has no {PREDICTIONS_FILE}")
    found = read_predictions(path, attributes=[], split="validation")
    if isinstance(found, MultiLabelPredictions):
        names, ids = found.label_names, found.by_label[found.label_names[0]].ids
    else:
        names, ids = found.classes, found.ids
    places = {str(name): place for place, name in enumerate(ids)}
    wanted = [str(name) for name in store.ids[rows]]
    if not wanted or names != store.classes or any(name not in places for name in wanted):
        raise DataError(f"{PREDICTIONS_FILE} of the run is not of these images and classes")
    return _one(found.take(np.array([places[name] for name in wanted])))


def _one(predictions: Predictions | MultiLabelPredictions) -> Predictions:
    """Predictions of several labels as one, label after label; a cluster holds its images' rows of all labels."""
    if isinstance(predictions, Predictions):
        return predictions
    parts = [predictions.by_label[name] for name in predictions.label_names]
    return predictions_from_arrays(
        np.concatenate([part.labels for part in parts]),
        classes=parts[0].classes,
        predicted=np.concatenate([part.predicted for part in parts]),
        clusters=np.tile(parts[0].clusters, len(parts)),
    )


def _types(model: TrainedModel) -> str | None:
    try:
        return None if model.recorded_modes is None else types_of(model.modes)
    except DataError:
        return None
