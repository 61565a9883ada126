"""Probabilities of a store's rows as predictions, with what the store knows of the rows; works without torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mindgap.data.image_store import Store
from mindgap.metrics.predictions import (
    MultiLabelPredictions,
    Predictions,
    multi_label_from_arrays,
    predictions_from_arrays,
)


def to_predictions(
    store: Store,
    rows: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    labels: Sequence[int] | None = None,
) -> Predictions | MultiLabelPredictions:
    """Predictions of some rows of a store with all its attributes and clusters.

    Args:
        store: the images' labels, attributes and clusters.
        rows: int64 (n,).
        probabilities: float64 (n, C) in the order of ``store.classes``.
        labels: numbers of the labels that count, of several; None is all.
    """
    groups = {name: store.groups(name).take(rows) for name in store.attributes}
    truth, ids, clusters, names = store.labels[rows], store.ids[rows], store.clusters[rows], store.cluster_names[rows]
    if store.task == "multi-label":
        chosen = list(range(len(store.classes)) if labels is None else labels)
        return multi_label_from_arrays(
            truth[:, chosen],
            probabilities[:, chosen],
            label_names=tuple(store.classes[number] for number in chosen),
            groups=groups,
            clusters=clusters,
            cluster_names=names,
            ids=ids,
        )
    return predictions_from_arrays(
        truth,
        classes=store.classes,
        groups=groups,
        probabilities=probabilities,
        clusters=clusters,
        cluster_names=names,
        ids=ids,
    )
