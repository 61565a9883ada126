"""What 8-bit integers change: accuracy, gaps and single predictions, on the validation images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.errors import DataError
from mindgap.core.seed import numpy_generator
from mindgap.data.image_store import Store
from mindgap.export.agreement import Probabilities, agreement
from mindgap.export.left_out import least_group_sizes, left_out
from mindgap.export.paired_change import paired_changes
from mindgap.metrics.predictions import MultiLabelPredictions, Predictions
from mindgap.train.store_predictions import to_predictions

AnyPredictions = Predictions | MultiLabelPredictions
CALIBRATION_IMAGES = 512
_BATCH = 32


def calibration_batches(store: Store) -> list[NDArray[np.uint8]]:
    """Up to 512 training images, drawn without replacement, always the same ones; batches of uint8 (b, S, S, 3)."""
    rows = store.rows("train")
    drawn = numpy_generator(0, "calibration").permutation(rows)[:CALIBRATION_IMAGES]
    return [store.images[drawn[start : start + _BATCH]] for start in range(0, len(drawn), _BATCH)]


def refuse_without_images(store: Store) -> None:
    """Checks that there are images to calibrate on and others to measure on.

    Raises:
        DataError: the training or the validation split is empty.
    """
    for split in ("train", "validation"):
        if not len(store.rows(split)):
            raise DataError(
                f"{store.path}: has no {split} images, which --int8 needs; prepare it with --split .7,.15,.15"
            )


def compare_int8(
    store: Store,
    float32: Probabilities,
    int8: Probabilities,
    *,
    bootstrap: int,
    permutations: int,
    told: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """The record of an int8 file: how far it agrees with the float32 one, an AUDIT of each, and the paired changes.

    ``left_out`` names the groups that are in no gap, by attribute: see ``least_group_sizes``.

    Args:
        store: whose validation images were predicted.
        float32: float64 (n, C), in the order of its classes.
        int8: float64 (n, C).
        bootstrap: replicates of the intervals.
        permutations: of the noise floors.
        told: attribute → groups that the run left out of U.
    """
    rows = store.rows("validation")
    groups = {name: store.groups(name).take(rows) for name in store.attributes}
    sizes = least_group_sizes(groups, told=told)
    wide, narrow = (to_predictions(store, rows, chances) for chances in (float32, int8))
    audits = {
        name: audit_predictions(predictions, bootstrap=bootstrap, permutations=permutations, min_group_of=sizes)
        for name, predictions in (("float32", wide), ("int8", narrow))
    }
    found = agreement(float32, int8, task=store.task).to_record()
    change = _change(wide, narrow, replicates=bootstrap, sizes=sizes)
    return found | audits | {"change": change, "left_out": left_out(groups, sizes)}


def _change(
    wide: AnyPredictions, narrow: AnyPredictions, *, replicates: int, sizes: Mapping[str, int]
) -> dict[str, Any]:
    if isinstance(wide, Predictions) and isinstance(narrow, Predictions):
        return paired_changes(wide, narrow, replicates=replicates, min_group_of=sizes)
    if isinstance(wide, MultiLabelPredictions) and isinstance(narrow, MultiLabelPredictions):
        parts = {name: (wide.by_label[name], narrow.by_label[name]) for name in wide.label_names}
        changes = {
            name: paired_changes(*pair, replicates=replicates, min_group_of=sizes) for name, pair in parts.items()
        }
        return {"labels": changes}
    raise TypeError("predictions of two different tasks")
