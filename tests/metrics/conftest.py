"""Made-up samples with clusters, shared by the tests of resampling."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.level_curves import GRID
from mindgap.metrics.resampling import Resampling


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


@pytest.fixture(scope="session")
def scored_sample(clustered_sample):
    """Makes a ``Resampling`` of clustered rows with scores of few ``values``, so that many tie."""

    def make(seed, *, values=12, rows=None, **options):
        rows = clustered_sample(seed, **options) if rows is None else rows
        generator = np.random.default_rng([seed, 1])
        places = np.arange(len(rows.labels))
        odds = generator.integers(1, values + 1, size=(len(places), rows.n_classes)).astype(float)
        odds[places, rows.labels] += generator.integers(values, size=len(places))
        odds[places, rows.predicted] = odds.max(axis=1) + 1
        groups, classes = (
            tuple(f"{kind}{k}" for k in range(size)) for kind, size in zip("gc", rows.shape, strict=False)
        )
        return Resampling(rows, groups, classes, odds / odds.sum(axis=1, keepdims=True))

    return make


@pytest.fixture(scope="session")
def by_definition(count):
    """Counts, AUROC, curves and ECE of every group of a ``Resampling``, row by row, each row as often as ``times``."""

    def measure(sample, *, group_ids=None, times=None):
        rows, scores = sample.rows, sample.probabilities
        ids = rows.group_ids if group_ids is None else group_ids
        kept = np.repeat(np.arange(len(ids)), np.ones(len(ids), int) if times is None else times)
        n_groups, n_classes = rows.n_groups, rows.n_classes
        auroc, curves = np.full((n_groups, n_classes), np.nan), np.full((n_groups, n_classes, GRID), np.nan)
        ece = np.full(n_groups, np.nan)
        for g in range(n_groups):
            own = kept[ids[kept] == g]
            for k in range(n_classes):
                positive = rows.labels[own] == k
                if 0 < positive.sum() < len(own):
                    auroc[g, k] = roc_auc_score(positive, scores[own, k])
                    curves[g, k] = _curve_at_midpoints(positive, scores[own, k])
            if len(own):
                ece[g] = _expected_calibration_error(rows.labels[own], rows.predicted[own], scores[own])
        counted = count(rows, group_ids=ids, times=1.0 if times is None else times)
        return {"counts": counted, "auroc": auroc, "tpr": curves, "ece": ece}

    return measure


def _curve_at_midpoints(positive, scores):
    """The true positive rate at the midpoints of the grid, straight between the curve's knots."""
    knots = [(0, 0)] + [
        ((scores >= s)[~positive].sum(), (scores >= s)[positive].sum()) for s in np.unique(scores)[::-1]
    ]
    found = []
    for k in range(GRID):
        x = (k + 0.5) * int((~positive).sum()) / GRID
        place = max(i for i, (wrong, _) in enumerate(knots) if wrong <= x)
        (wrong, right), (next_wrong, next_right) = knots[place], knots[place + 1]
        found.append((right + (next_right - right) * (x - wrong) / (next_wrong - wrong)) / positive.sum())
    return np.array(found)


def _expected_calibration_error(labels, predicted, scores):
    confidence, total = scores[np.arange(len(labels)), predicted], 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            total += inside.mean() * abs((labels == predicted)[inside].mean() - confidence[inside].mean())
    return total
