"""What a group that is all right, or all wrong, leaves open: resamples with one pseudo-cluster of the other kind.

Resamples of a group without an error have no error either, as if its accuracy of 1 were certain. So such a group, and
one where a single cluster differs, gets a pseudo-cluster in which everything is the other way round, with the share
Beta(1, k) of the group's k clusters in each replicate. That is the Bayesian bootstrap of k + 1 clusters (Rubin 1981),
and the upper confidence distribution of Clopper and Pearson (1934) for no error in k: its 95 % quantile is the exact
bound 1 − .05^(1/k). The rows of every class keep their number, only what is predicted for them changes.

Share of made-up samples whose interval of U holds the truth, groups of 500, 500 and k rows all at accuracy p:
    k               5     10    20    40
    p = .9          .995  .997  .992  .963   (plain resamples .43, .64, .87, .91)
    least, .5–.95   .94   .91   .91   .94    (plain resamples .24, .41, .64, .88)
Below five clusters there is no interval (``interval.MIN_CLUSTERS``), so nothing is added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mindgap.metrics.cluster_types import ClusteredRows, count_tokens
from mindgap.metrics.counts import Floats, Integers
from mindgap.metrics.interval import MIN_CLUSTERS

_BOTH_WAYS = 0.5


@dataclass(frozen=True, eq=False)
class PseudoClusters:
    """The pseudo-clusters of a sample's groups.

    Attributes:
        clusters: int64 (G,), clusters with rows in the group.
        chance_right: float64 (G,), how often its pseudo-cluster is right, 0, ½ or 1; NaN for a group that needs none.
        wrong: float64 (C, C), what is predicted for a class where the prediction is wrong, rows summing to 1.
    """

    clusters: Integers
    chance_right: Floats
    wrong: Floats

    @staticmethod
    def of(rows: ClusteredRows) -> PseudoClusters:
        """Finds the groups that need one; what their errors would be is what the errors of all groups are."""
        n_classes = rows.n_classes
        owners, groups, sizes = count_tokens(rows.clusters, rows.group_ids)
        right = np.bincount(
            rows.clusters * rows.n_groups + rows.group_ids,
            weights=rows.labels == rows.predicted,
            minlength=rows.n_clusters * rows.n_groups,
        )
        share = right[owners * rows.n_groups + groups] / sizes
        chances = [_chance_right(share[groups == g]) for g in range(rows.n_groups)]
        clusters = np.bincount(groups, minlength=rows.n_groups).astype(np.int64)
        pooled = np.bincount(rows.labels * n_classes + rows.predicted, minlength=n_classes**2)
        return PseudoClusters(clusters, np.array(chances), _wrong_predictions(pooled.reshape(n_classes, n_classes)))

    def add(self, counts: Floats, generator: np.random.Generator) -> None:
        """Mixes them into counts of replicates, float64 (r, G, C, C), in place."""
        for g in np.flatnonzero(~np.isnan(self.chance_right)).tolist():
            own = counts[:, g]
            share = generator.beta(1, self.clusters[g], size=len(counts))[:, None, None]
            is_right = (generator.random(len(counts)) < self.chance_right[g])[:, None, None]
            predicted = np.where(is_right, np.eye(len(self.wrong)), self.wrong)
            counts[:, g] = (1 - share) * own + share * own.sum(axis=-1, keepdims=True) * predicted


def clusters_by_group(rows: ClusteredRows) -> Integers:
    """Clusters with rows of each group, int64 (G,)."""
    groups = count_tokens(rows.clusters, rows.group_ids)[1]
    return np.bincount(groups, minlength=rows.n_groups).astype(np.int64)


def clusters_by_cell(rows: ClusteredRows) -> Integers:
    """Clusters with rows of each group and true class, int64 (G, C)."""
    cells = count_tokens(rows.clusters, rows.group_ids * rows.n_classes + rows.labels)[1]
    found = np.bincount(cells, minlength=rows.n_groups * rows.n_classes)
    return found.reshape(rows.n_groups, rows.n_classes).astype(np.int64)


def _chance_right(shares: Floats) -> float:
    """Of the pseudo-cluster, from the share of right rows of each cluster, float64 (k,)."""
    if len(shares) < MIN_CLUSTERS:
        return np.nan
    if (shares < 1).sum() <= 1:
        return 0.0
    if (shares > 0).sum() <= 1:
        return 1.0
    return _BOTH_WAYS if np.ptp(shares) == 0 else np.nan


def _wrong_predictions(pooled: Integers) -> Floats:
    """Shares of the wrong predictions for each class, from pooled counts (C, C); alike where there are none."""
    if len(pooled) == 1:
        return np.ones((1, 1))
    other = 1.0 - np.eye(len(pooled))
    off = pooled * other
    weights = np.where(off.sum(axis=1, keepdims=True) > 0, off, other)
    return weights / weights.sum(axis=1, keepdims=True)
