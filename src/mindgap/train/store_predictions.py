"""Probabilities of a store's rows as predictions, with what the store knows of the rows; works without torch."""

from __future__ import annotations

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
    store: Store, rows: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> Predictions | MultiLabelPredictions:
    """Predictions of some rows of a store with all its attributes and clusters.

    Args:
        store: the images' labels, attributes and clusters.
        rows: int64 (n,).
        probabilities: float64 (n, C) in the order of ``store.classes``.
    """
    groups = {name: store.groups(name).take(rows) for name in store.attributes}
    labels, ids, clusters, names = store.labels[rows], store.ids[rows], store.clusters[rows], store.cluster_names[rows]
    if store.task == "multi-label":
        return multi_label_from_arrays(
            labels,
            probabilities,
            label_names=store.classes,
            groups=groups,
            clusters=clusters,
            cluster_names=names,
            ids=ids,
        )
    return predictions_from_arrays(
        labels,
        classes=store.classes,
        groups=groups,
        probabilities=probabilities,
        clusters=clusters,
        cluster_names=names,
        ids=ids,
    )
