"""Worst-group accuracy."""

from __future__ import annotations

from typing import ClassVar

from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.metrics.metric import METRICS, AbstractGapMetric, Direction, IntervalKind


@METRICS.register("worst_group_accuracy")
class WorstGroupAccuracy(AbstractGapMetric):
    """Accuracy of the group that is treated worst, min_g A_g, in 0..1.

    The minimum over small groups is low by chance, and its percentile interval with it.
    """

    name = "worst_group_accuracy"
    direction: ClassVar[Direction] = "larger"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    ideal: ClassVar[float] = 1.0
    interval: ClassVar[IntervalKind] = "percentile"

    def value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (...)."""
        del observed
        return counts.accuracy.min(axis=-1)
