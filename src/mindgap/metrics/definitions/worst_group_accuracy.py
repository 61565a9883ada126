"""Worst-group accuracy."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.metrics.metric import METRICS, AbstractGapMetric, Direction, IntervalKind


@METRICS.register("worst_group_accuracy")
class WorstGroupAccuracy(AbstractGapMetric):
    """Accuracy of the group that is treated worst, min_g A_g, in 0..1.

    The minimum over several groups is low by chance, and every resampled one is lower still: percentiles hold the truth
    18 % of the time for six equal groups of 500 rows at .8. A minimum moves no further than the group that moves most,
    so the interval is the pivot with that distance. ``n`` is the size of the worst group.
    """

    name = "worst_group_accuracy"
    direction: ClassVar[Direction] = "larger"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    ideal: ClassVar[float] = 1.0
    interval: ClassVar[IntervalKind] = "norm_pivot"
    minimum_of: ClassVar[str | None] = "accuracy"

    def value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (...)."""
        del observed
        return counts.accuracy.min(axis=-1)

    def distance(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """max_g |A_g* − Â_g|, float64 (...)."""
        return np.abs(counts.accuracy - observed.accuracy).max(axis=-1)

    def rows(self, observed: GroupCounts) -> int:
        """Rows of the worst group, the first of a tie."""
        return int(observed.sizes[np.nan_to_num(observed.accuracy, nan=np.inf).argmin()])
