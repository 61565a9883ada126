"""Made-up samples with clusters, shared by the tests of resampling."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.metrics.cluster_types import ClusteredRows


@pytest.fixture(scope="session")
def clustered_sample():
    """Makes rows of clusters of several sizes; a share ``mixed`` of the clusters holds several labels and groups."""

    def make(seed, *, n_clusters=40, max_size=4, n_groups=3, n_classes=3, mixed=0.3):
        generator = np.random.default_rng(seed)
        sizes = generator.integers(1, max_size + 1, size=n_clusters)
        clusters = np.repeat(np.arange(n_clusters), sizes)
        is_mixed = (generator.random(n_clusters) < mixed)[clusters]

        def draw(number):
            own, shared = generator.integers(number, size=len(clusters)), generator.integers(number, size=n_clusters)
            return np.where(is_mixed, own, shared[clusters])

        labels, groups = draw(n_classes), draw(n_groups)
        right = generator.random(len(clusters)) < 0.6
        predicted = np.where(right, labels, generator.integers(n_classes, size=len(clusters)))
        order = generator.permutation(len(clusters))
        columns = (labels[order], predicted[order], groups[order], clusters[order])
        return ClusteredRows.of(*columns, n_groups=n_groups, n_classes=n_classes)

    return make


@pytest.fixture(scope="session")
def count():
    """Counts rows by the definition; ``times`` says how often each row counts."""

    def count(rows, *, group_ids=None, times=1.0):
        counts = np.zeros(rows.shape)
        np.add.at(counts, (rows.group_ids if group_ids is None else group_ids, rows.labels, rows.predicted), times)
        return counts

    return count
