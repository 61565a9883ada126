"""Worst-group AUROC."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, other_classes_note
from mindgap.metrics.group_roc import GroupRoc
from mindgap.metrics.group_sample import Statistic
from mindgap.metrics.metric import METRICS, AbstractGapMetric, Direction, IntervalKind


@METRICS.register("worst_group_auroc")
class WorstGroupAuroc(AbstractGapMetric[GroupRoc]):
    """Macro AUROC of the group whose scores rank worst, min_g, in 0..1.

    Each group's mean is over its own classes. Like every minimum it is low by chance with many groups; the interval is
    the pivot with how far the group that moves most moves. ``n`` is the size of the worst group.
    """

    name = "worst_group_auroc"
    statistic: ClassVar[Statistic] = "roc"
    direction: ClassVar[Direction] = "larger"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    ideal: ClassVar[float] = 1.0
    interval: ClassVar[IntervalKind] = "norm_pivot"
    minimum_of: ClassVar[str | None] = "macro_auroc"

    def cells(self, observed: GroupRoc) -> NDArray[np.bool_]:
        """Positives and negatives of each class that a group has."""
        return np.broadcast_to(~np.isnan(observed.auroc), (2, *observed.support.shape))

    def note(self, observed: GroupRoc) -> str | None:
        """The classes that a group lacks, whose mean is then over others."""
        return other_classes_note(~np.isnan(observed.auroc), groups=observed.groups, classes=observed.classes)

    def value(self, counts: GroupRoc, observed: GroupRoc) -> Floats:
        """Float64 (...); NaN if a group has no area, or lost a class that it has."""
        return np.where(counts.lost(observed).any(axis=-1), np.nan, counts.macro_auroc.min(axis=-1))

    def distance(self, counts: GroupRoc, observed: GroupRoc) -> Floats:
        """max_g of how far a group's area moves, float64 (...)."""
        moved = np.abs(counts.macro_auroc - observed.macro_auroc).max(axis=-1)
        return np.where(counts.lost(observed).any(axis=-1), np.nan, moved)

    def rows(self, observed: GroupRoc) -> int:
        """Rows of the worst group, the first of a tie."""
        return int(observed.sizes[np.nan_to_num(observed.macro_auroc, nan=np.inf).argmin()])

    def reason(self, observed: GroupRoc) -> str:
        """An empty group, or one of a single class."""
        return observed.of_one_class() or super().reason(observed)
