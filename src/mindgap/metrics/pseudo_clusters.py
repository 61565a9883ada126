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

A gap that compares groups class by class (equalised odds, standardised U, differences of F1) needs the same of each
class within a group: a recall of 5 in 5 does not vary in resamples either. So there are second counts, in which each
class of a group has a pseudo-cluster of its own where it is all right or all wrong. The first counts stay without: it
would move percentiles to one side, where a pivot only widens. Share of samples whose interval of equalised odds holds
the truth, two classes, groups of 300 and 100 rows, TPR p and FPR .1 in both, k positives in the smaller group (600
samples):
    k               5     8     12    15    25
    p = .8          .99   .99   .97   .98   .93   (plain resamples .67, .83, .88, .92, .93)
    p = .95         1.00  1.00  1.00  1.00  .99   (plain resamples .77, .80, .84, .89, .94)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.cluster_types import ClusteredRows, count_tokens
from mindgap.metrics.counts import Floats, Integers
from mindgap.metrics.group_sample import GroupSample
from mindgap.metrics.interval import MIN_CLUSTERS

_BOTH_WAYS = 0.5


@dataclass(frozen=True, eq=False)
class PseudoClusters:
    """The pseudo-clusters of a sample's groups, and of the classes within them.

    Attributes:
        clusters: int64 (G,), clusters with rows in the group.
        chance_right: float64 (G,), how often its pseudo-cluster is right, 0, ½ or 1; NaN for a group that needs none.
        cell_clusters: int64 (G, C), clusters with rows of the class in the group.
        cell_chance_right: float64 (G, C), likewise of the class within the group.
        wrong: float64 (C, C), what is predicted for a class where the prediction is wrong, rows summing to 1.
    """

    clusters: Integers
    chance_right: Floats
    cell_clusters: Integers
    cell_chance_right: Floats
    wrong: Floats

    @staticmethod
    def of(rows: ClusteredRows) -> PseudoClusters:
        """Finds the groups and classes that need one; what their errors would be is what the errors of all are."""
        n_classes = rows.n_classes
        pooled = np.bincount(rows.labels * n_classes + rows.predicted, minlength=n_classes**2)
        clusters, chances = _chances(rows, rows.group_ids, rows.n_groups)
        of_cells = _chances(rows, rows.group_ids * n_classes + rows.labels, rows.n_groups * n_classes)
        shape = (rows.n_groups, n_classes)
        wrong = _wrong_predictions(pooled.reshape(n_classes, n_classes))
        return PseudoClusters(clusters, chances, of_cells[0].reshape(shape), of_cells[1].reshape(shape), wrong)

    def into(self, sample: GroupSample, generator: np.random.Generator) -> GroupSample:
        """Replicates with the pseudo-clusters that the sample needs; its counts are changed in place."""
        by_class = self.add(sample.counts.counts, generator)
        return sample if by_class is None else replace(sample, pseudo=sample.counts.replicates(by_class))

    def add(self, counts: Floats, generator: np.random.Generator) -> Floats | None:
        """Mixes those of groups into counts of replicates, float64 (r, G, C, C), in place.

        The random numbers are as many for any predictions, so that two models of the same rows, given streams alike,
        have the same pseudo-clusters wherever both need one.

        Returns:
            The counts with those of classes instead, float64 (r, G, C, C); None where no class needs one.
        """
        of_groups, of_cells = generator.spawn(2)
        by_class: Floats | None = None
        right: Floats = np.eye(len(self.wrong))
        groups = np.flatnonzero(~np.isnan(self.chance_right)).tolist()
        cells = ~np.isnan(self.cell_chance_right)
        shares, is_right = _drawn(of_groups, self.clusters, self.chance_right, len(counts) if groups else 0)
        if cells.any():
            by_class = counts.copy()
            cell_shares, cell_right = _drawn(of_cells, self.cell_clusters, self.cell_chance_right, len(counts))
            for g, c in np.argwhere(cells).tolist():
                predicted = _either(cell_right[:, g, c, None], right[c], self.wrong[c])
                by_class[:, g, c] = _mixed(by_class[:, g, c], cell_shares[:, g, c, None], predicted)
        for g in groups:
            of_group = _either(is_right[:, g, None, None], right, self.wrong)
            counts[:, g] = _mixed(counts[:, g], shares[:, g, None, None], of_group)
            if by_class is not None:  # classes of too few clusters for their own have the group's
                by_class[:, g, ~cells[g]] = counts[:, g, ~cells[g]]
        return by_class


def clusters_by_group(rows: ClusteredRows) -> Integers:
    """Clusters with rows of each group, int64 (G,)."""
    groups = count_tokens(rows.clusters, rows.group_ids)[1]
    return np.bincount(groups, minlength=rows.n_groups).astype(np.int64)


def clusters_by_cell(rows: ClusteredRows) -> Integers:
    """Clusters with rows of each group and true class, int64 (G, C)."""
    cells = count_tokens(rows.clusters, rows.group_ids * rows.n_classes + rows.labels)[1]
    found = np.bincount(cells, minlength=rows.n_groups * rows.n_classes)
    return found.reshape(rows.n_groups, rows.n_classes).astype(np.int64)


def _chances(rows: ClusteredRows, parts: Integers, n_parts: int) -> tuple[Integers, Floats]:
    """Clusters of each part of the rows, (P,), and how often its pseudo-cluster is right; ``parts`` (n,) numbers."""
    tokens, place, sizes = np.unique(rows.clusters * n_parts + parts, return_inverse=True, return_counts=True)
    of_token = tokens % n_parts
    shares = np.bincount(place, weights=rows.labels == rows.predicted, minlength=len(tokens)) / sizes
    clusters = np.bincount(of_token, minlength=n_parts).astype(np.int64)
    imperfect, some = (np.bincount(of_token[chosen], minlength=n_parts) for chosen in (shares < 1, shares > 0))
    low, high = np.full(n_parts, np.inf), np.full(n_parts, -np.inf)
    np.minimum.at(low, of_token, shares)
    np.maximum.at(high, of_token, shares)
    alike = np.where(low == high, _BOTH_WAYS, np.nan)
    chances = np.where(imperfect <= 1, 0.0, np.where(some <= 1, 1.0, alike))
    return clusters, np.where(clusters < MIN_CLUSTERS, np.nan, chances)


def _drawn(
    generator: np.random.Generator, clusters: Integers, chances: Floats, replicates: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """Share of the rows, and whether they are right, of every pseudo-cluster, (r, ...), needed or not."""
    shape = (replicates, *clusters.shape)
    shares = generator.beta(1, np.maximum(clusters, 1), size=shape)
    return shares, generator.random(shape) < chances


def _either(is_right: NDArray[np.bool_], right: Floats, wrong: Floats) -> Floats:
    """What is predicted where a pseudo-cluster is right, and where it is not."""
    return np.where(is_right, right, wrong)


def _mixed(own: Floats, share: Floats, predicted: Floats) -> Floats:
    """Counts of which a share is predicted as the pseudo-cluster is."""
    return (1 - share) * own + share * own.sum(axis=-1, keepdims=True) * predicted


def _wrong_predictions(pooled: Integers) -> Floats:
    """Shares of the wrong predictions for each class, from pooled counts (C, C); alike where there are none."""
    if len(pooled) == 1:
        return np.ones((1, 1))
    other = 1.0 - np.eye(len(pooled))
    off = pooled * other
    weights = np.where(off.sum(axis=1, keepdims=True) > 0, off, other)
    return weights / weights.sum(axis=1, keepdims=True)
