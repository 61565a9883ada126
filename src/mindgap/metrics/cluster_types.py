"""Rows grouped into clusters, and clusters grouped into types that resampling cannot tell apart.

Resampling whole clusters only ever needs to know how many clusters of each type were drawn, and there are far fewer
types than clusters. All functions are exact: nothing is hashed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mindgap.metrics.counts import Integers
from mindgap.metrics.sparse_counts import SparseCounts


@dataclass(frozen=True, eq=False)
class ClusteredRows:
    """Rows whose group is known, as numbers.

    Attributes:
        labels: int64 (n,) true classes in 0..C-1.
        predicted: int64 (n,) predicted classes in 0..C-1.
        group_ids: int64 (n,) groups in 0..G-1.
        clusters: int64 (n,) clusters in 0..K-1, every number used.
        n_groups: G.
        n_classes: C.
    """

    labels: Integers
    predicted: Integers
    group_ids: Integers
    clusters: Integers
    n_groups: int
    n_classes: int

    @staticmethod
    def of(
        labels: Integers, predicted: Integers, group_ids: Integers, clusters: Integers, *, n_groups: int, n_classes: int
    ) -> ClusteredRows:
        """Keeps the rows whose group is known (not -1) and numbers their clusters as they come."""
        known = group_ids >= 0
        _, first, inverse = np.unique(clusters[known], return_index=True, return_inverse=True)
        numbers = np.argsort(np.argsort(first))[inverse]
        return ClusteredRows(labels[known], predicted[known], group_ids[known], numbers, n_groups, n_classes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(G, C, C), the shape of the counts."""
        return self.n_groups, self.n_classes, self.n_classes

    @property
    def n_cells(self) -> int:
        """G·C·C."""
        return self.n_groups * self.n_classes * self.n_classes

    @cached_property
    def n_clusters(self) -> int:
        """K."""
        return int(self.clusters.max(initial=-1)) + 1

    @cached_property
    def cells(self) -> Integers:
        """Int64 (n,): the row's place in the flattened counts."""
        return (self.group_ids * self.n_classes + self.labels) * self.n_classes + self.predicted


@dataclass(frozen=True, eq=False)
class ClusterTypes:
    """Types of clusters: those with the same contribution to the counts.

    Attributes:
        sizes: int64 (T,), how many clusters are of the type.
        strata: int64 (T,), number of the stratum the type belongs to.
        contributions: (T, G·C·C), what one cluster of the type adds to the counts.
    """

    sizes: Integers
    strata: Integers
    contributions: SparseCounts


def cluster_types(rows: ClusteredRows) -> ClusterTypes:
    """Types of clusters, in the strata of the bootstrap."""
    owners, cells, times = count_tokens(rows.clusters, rows.cells)
    tokens = np.unique(np.stack([cells, times]), axis=1, return_inverse=True)[1].reshape(-1)
    types = sequence_ids(owners, tokens, n_owners=rows.n_clusters)
    _, first, sizes = np.unique(types, return_index=True, return_counts=True)
    strata = bootstrap_strata(rows)[first]
    contributions = SparseCounts.of(owners, cells, times, shape=(rows.n_clusters, rows.n_cells)).take(first)
    return ClusterTypes(sizes.astype(np.int64), strata, contributions)


def bootstrap_strata(rows: ClusteredRows) -> Integers:
    """The stratum of every cluster, int64 (K,): its set of groups; sets held by one cluster share a stratum.

    A single such cluster would be in every replicate, so it joins the largest stratum.
    """
    owners, groups, _ = count_tokens(rows.clusters, rows.group_ids)
    sets = sequence_ids(owners, groups, n_owners=rows.n_clusters)
    times = np.bincount(sets)
    alone = times[sets] == 1
    pooled = sets.max(initial=0) + 1 if alone.sum() > 1 else times.argmax() if len(times) else 0
    return np.where(alone, pooled, sets).astype(np.int64)


def count_tokens(owners: Integers, tokens: Integers) -> tuple[Integers, Integers, Integers]:
    """How often each owner holds each token: owners, tokens and times, sorted by owner, then token."""
    width = int(tokens.max(initial=0)) + 1
    pairs, times = np.unique(owners * width + tokens, return_counts=True)
    return pairs // width, pairs % width, times.astype(np.int64)


def sequence_ids(owners: Integers, tokens: Integers, *, n_owners: int) -> Integers:
    """Numbers the distinct token sequences of owners, int64 (n_owners,) in 0..distinct-1.

    Args:
        owners: int64 (m,) sorted, each of 0..n_owners-1 at least once.
        tokens: int64 (m,) ≥ 0, in the order of the sequence.
        n_owners: number of owners.

    Example:
        Owners 0,0,1,2,2 with tokens 5,7,5,5,7 give 1,0,1: the sequences are (5, 7), (5), (5, 7).
    """
    lengths = np.bincount(owners, minlength=n_owners)
    starts = np.cumsum(lengths) - lengths
    width = int(tokens.max(initial=0)) + 1
    ids = np.zeros(n_owners, dtype=np.int64)
    active = np.arange(n_owners)
    for position in range(int(lengths.max(initial=0))):
        active = active[lengths[active] > position]
        keys = ids[active] * width + tokens[starts[active] + position]
        ids[active] = np.unique(keys, return_inverse=True)[1]
    return np.unique(lengths * (n_owners + 1) + ids, return_inverse=True)[1].astype(np.int64)
