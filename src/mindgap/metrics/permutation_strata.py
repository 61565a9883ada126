"""Strata of clusters among which group labels could have been swapped.

Within classes, which keeps the case mix, the stratum of a cluster of one class and one group is its class; of any other
cluster, its multiset of classes. A cluster of several groups hands over its whole pattern of groups, row by row in the
order of its classes. Over all classes, clusters of one group are one stratum, and others one per number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.cluster_types import ClusteredRows, count_tokens, sequence_ids
from mindgap.metrics.counts import Floats, Integers

Within = Literal["class", "all"]
"""Whether a group label may move only among clusters of the same classes, or among all."""


@dataclass(frozen=True, eq=False)
class Stratum:
    """Clusters among which group patterns move.

    Attributes:
        outcomes: int64 (K,), each cluster's outcome type in 0..T-1: its classes and predictions.
        patterns: int64 (K,), each cluster's group pattern in 0..P-1.
        pattern_groups: int64 (P, S), the group of every slot of a pattern.
        row_clusters: int64 (m,), the cluster in 0..K-1 of every row.
        row_slots: int64 (m,), the row's slot in 0..S-1 in its cluster.
        row_cells: int64 (m,), the row's pair of true and predicted class, in 0..U-1.
        columns: int64 (G, U), the place in the flattened counts of every group and pair.
        clusters: int64 (K,), which clusters of the sample these are.
        rows: int64 (m,), which rows of the sample.
    """

    outcomes: Integers
    patterns: Integers
    pattern_groups: Integers
    row_clusters: Integers
    row_slots: Integers
    row_cells: Integers
    columns: Integers
    clusters: Integers
    rows: Integers

    @property
    def n_outcomes(self) -> int:
        """T."""
        return int(self.outcomes.max()) + 1

    @property
    def n_patterns(self) -> int:
        """P."""
        return len(self.pattern_groups)


def permutation_strata(
    rows: ClusteredRows, *, within: Within = "class", by_prediction: bool = True
) -> tuple[list[Stratum], Floats]:
    """The strata in which a permutation can change something, and the counts (G·C·C,) of all other clusters.

    Args:
        rows: the sample.
        within: what the strata keep.
        by_prediction: whether clusters that are predicted alike are alike; scores tell them apart.
    """
    kept_alike = rows if within == "class" else replace(rows, labels=np.zeros_like(rows.labels))
    strata, simple = _strata_of_clusters(kept_alike)
    ordered = _ordered_rows(kept_alike, strata)
    owners = rows.clusters[ordered]
    starts = np.searchsorted(owners, np.arange(rows.n_clusters))
    cells = rows.labels[ordered] * rows.n_classes + rows.predicted[ordered]
    outcomes = sequence_ids(owners, cells, n_owners=rows.n_clusters) if by_prediction else np.arange(rows.n_clusters)
    sequences = sequence_ids(owners, rows.group_ids[ordered], n_owners=rows.n_clusters)
    first_group = rows.group_ids[ordered][starts]
    patterns = np.where(simple, first_group, rows.n_groups + sequences)
    slots = np.where(simple[owners], 0, np.arange(len(owners)) - starts[owners])
    groups = rows.group_ids[ordered]

    moving: list[Stratum] = []
    fixed = np.zeros(rows.n_cells)
    numbers = np.empty(rows.n_clusters, dtype=np.int64)
    for members, places in _parts(strata, owners):
        kinds, kept = _ranks(outcomes[members])
        kinds_of_pattern, firsts = _ranks(patterns[members])
        if len(kept) < 2 or len(firsts) < 2:
            fixed += np.bincount(groups[places] * rows.n_classes**2 + cells[places], minlength=rows.n_cells)
            continue
        numbers[members] = np.arange(len(members))
        width = int(slots[places].max()) + 1
        pattern_rows = starts[members[firsts]][:, None] + np.arange(width)
        pairs, row_cells = np.unique(cells[places], return_inverse=True)
        moving.append(
            Stratum(
                outcomes=kinds,
                patterns=kinds_of_pattern,
                pattern_groups=groups[pattern_rows],
                row_clusters=numbers[owners[places]],
                row_slots=slots[places],
                row_cells=row_cells.astype(np.int64),
                columns=np.arange(rows.n_groups)[:, None] * rows.n_classes**2 + pairs,
                clusters=members,
                rows=ordered[places],
            )
        )
    return moving, fixed


def _strata_of_clusters(rows: ClusteredRows) -> tuple[Integers, NDArray[np.bool_]]:
    """Number of each cluster's stratum, int64 (K,), and whether it has one class and one group, bool (K,)."""
    owners, classes, times = count_tokens(rows.clusters, rows.labels)
    group_owners, _, _ = count_tokens(rows.clusters, rows.group_ids)
    simple = (np.bincount(owners) == 1) & (np.bincount(group_owners) == 1)
    by_class = sequence_ids(np.repeat(owners, times), np.repeat(classes, times), n_owners=rows.n_clusters)
    first_class = classes[np.searchsorted(owners, np.arange(rows.n_clusters))]
    keys = np.where(simple, first_class, rows.n_classes + by_class)
    return np.unique(keys, return_inverse=True)[1].astype(np.int64), simple


def _ordered_rows(rows: ClusteredRows, strata: Integers) -> Integers:
    """Rows sorted by cluster, then class; within a class as they came, or by prediction where groups never mix."""
    group_owners, _, _ = count_tokens(rows.clusters, rows.group_ids)
    mixed_clusters = np.bincount(group_owners) > 1
    mixed_strata = np.bincount(strata, weights=mixed_clusters) > 0
    as_it_came = mixed_strata[strata[rows.clusters]]
    tie = np.where(as_it_came, np.arange(len(rows.labels)), rows.predicted)
    return np.lexsort((tie, rows.labels, rows.clusters)).astype(np.int64)


def _parts(strata: Integers, owners: Integers) -> list[tuple[Integers, Integers]]:
    """For every stratum its clusters and its rows (places among the ordered rows)."""
    clusters, rows = _split(strata), _split(strata[owners])
    return list(zip(clusters, rows, strict=True))


def _split(strata: Integers) -> list[Integers]:
    order = np.argsort(strata, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(strata[order])) + 1)


def _ranks(values: Integers) -> tuple[Integers, Integers]:
    """Each value's rank among the distinct ones, and the first place of every distinct one."""
    _, first, ranks = np.unique(values, return_index=True, return_inverse=True)
    return ranks.astype(np.int64), first
