"""True positive rate of every class in every group."""

from __future__ import annotations

from typing import ClassVar

from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.metrics.metric import METRICS, AbstractClassRate, IntervalKind


@METRICS.register("true_positive_rate")
class TruePositiveRate(AbstractClassRate):
    """Share of a group's rows of a class that are given it, P[ŷ=c | y=c, s], in 0..1: recall, or sensitivity.

    ``n`` are the rows of the group that are of the class. 14 of 25 found give .56. The interval is Korn and Graubard's.
    """

    name = "true_positive_rate"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    interval: ClassVar[IntervalKind] = "exact"

    def rates(self, counts: GroupCounts) -> Floats:
        """Float64 (..., G, C), in 0..1."""
        return counts.true_positive_rate

    def reason(self, observed: GroupCounts, group_index: int, class_index: int) -> str:
        """No rows, or none of the class."""
        del class_index
        return "no rows" if not observed.sizes[group_index] else "no positives"

    def rows(self, observed: GroupCounts, group_index: int, class_index: int) -> int:
        """Positives in the group."""
        return int(observed.support[group_index, class_index])
