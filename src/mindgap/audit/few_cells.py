"""Why a gap has no interval: too few clusters in a group, or in a class within a group, that it compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.audit.record import few_clusters
from mindgap.metrics.cluster_types import ClusteredRows, count_tokens
from mindgap.metrics.counts import Integers
from mindgap.metrics.interval import MIN_CLUSTERS
from mindgap.metrics.metric import AbstractClassGap, AbstractClassRate, AbstractGapMetric
from mindgap.metrics.pseudo_clusters import clusters_by_cell, clusters_by_group


@dataclass(frozen=True, eq=False)
class CellClusters:
    """How many clusters each group has, and each class within it.

    Attributes:
        groups: the G names of the groups.
        classes: the C names of the classes.
        by_group: int64 (G,), clusters with rows of the group.
        by_class: int64 (G, C), clusters with rows of the class in the group.
        of_others: int64 (G, C), clusters with rows of other classes in the group.
    """

    groups: tuple[str, ...]
    classes: tuple[str, ...]
    by_group: Integers
    by_class: Integers
    of_others: Integers

    @staticmethod
    def of(rows: ClusteredRows, *, groups: tuple[str, ...], classes: tuple[str, ...]) -> CellClusters:
        """Counts those of all ``groups``."""
        by_group, by_class = clusters_by_group(rows), clusters_by_cell(rows)
        return CellClusters(groups, classes, by_group, by_class, by_group[:, None] - _of_one_class(rows))

    def keep(self, present: NDArray[np.bool_]) -> CellClusters:
        """Those of the groups compared, chosen by a bool (G,) mask."""
        names = tuple(name for name, kept in zip(self.groups, present, strict=True) if kept)
        return CellClusters(
            names, self.classes, self.by_group[present], self.by_class[present], self.of_others[present]
        )

    def of_groups(self) -> str | None:
        """Why no gap between the groups has an interval; None if it can have one."""
        if not len(self.groups) or self.by_group.min() >= MIN_CLUSTERS:
            return None
        smallest = int(self.by_group.argmin())
        return few_clusters(f"group {self.groups[smallest]!r}", int(self.by_group[smallest]))

    def of_gap(self, metric: AbstractGapMetric[Any], observed: Any) -> str | None:
        """Why a gap over all classes has none; ``observed`` is the metric's statistic of the groups compared."""
        return self.of_groups() or self._of_cells(metric.cells(observed)) or metric.no_interval(observed)

    def of_class(self, metric: AbstractClassGap[Any], observed: Any, index: int) -> str | None:
        """Why the gap of one class has none."""
        cells = metric.cells(observed)
        if cells is None:
            return self.of_groups()
        return self.of_groups() or self._of_cells(cells & (np.arange(len(self.classes)) == index))

    def of_rate(self, metric: AbstractClassRate) -> Integers:
        """Int64 (G, C): clusters with the rows that a rate of a class in a group is of."""
        return self.of_others if metric.of_others else self.by_class

    def of_class_rate(self, metric: AbstractClassRate, group: int, index: int) -> str | None:
        """Why the rate of a class in a group has none: too few clusters of the group, or of what it is a share of."""
        who, n = f"group {self.groups[group]!r}", int(self.by_group[group])
        if n < MIN_CLUSTERS:
            return few_clusters(who, n)
        cell = int(self.of_rate(metric)[group, index])
        if metric.interval != "exact" or cell >= MIN_CLUSTERS:
            return None
        what = "what is not class" if metric.of_others else "class"
        return few_clusters(f"{what} {self.classes[index]!r} of {who}", cell)

    def _of_cells(self, cells: NDArray[np.bool_] | None) -> str | None:
        if cells is None or not cells.any():
            return None
        counts = np.where(cells, np.stack([self.by_class, self.of_others]), np.iinfo(np.int64).max)
        if counts.min() >= MIN_CLUSTERS:
            return None
        side, g, c = np.unravel_index(int(counts.argmin()), counts.shape)
        what = "what is not class" if side else "class"
        return few_clusters(f"{what} {self.classes[c]!r} of group {self.groups[g]!r}", int(counts[side, g, c]))


def _of_one_class(rows: ClusteredRows) -> Integers:
    """Int64 (G, C): clusters whose rows in the group are all of the class."""
    owners, cells, _ = count_tokens(rows.clusters, rows.group_ids * rows.n_classes + rows.labels)
    _, place, times = np.unique(
        owners * rows.n_groups + cells // rows.n_classes, return_inverse=True, return_counts=True
    )
    found = np.bincount(cells[times[place] == 1], minlength=rows.n_groups * rows.n_classes)
    return found.reshape(rows.n_groups, rows.n_classes).astype(np.int64)
