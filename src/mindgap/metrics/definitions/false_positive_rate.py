"""False positive rate of every class in every group."""

from __future__ import annotations

from typing import ClassVar

from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.metrics.metric import METRICS, AbstractClassRate, Direction, IntervalKind


@METRICS.register("false_positive_rate")
class FalsePositiveRate(AbstractClassRate):
    """Share of a group's rows of other classes that are given the class, P[ŷ=c | y≠c, s], in 0..1: 1 − specificity.

    ``n`` are the rows of the group that are of other classes. 2 of 25 taken for the class give .08. The interval is
    Korn and Graubard's.
    """

    name = "false_positive_rate"
    direction: ClassVar[Direction] = "smaller"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    ideal: ClassVar[float] = 0.0
    interval: ClassVar[IntervalKind] = "exact"
    of_others: ClassVar[bool] = True

    def rates(self, counts: GroupCounts) -> Floats:
        """Float64 (..., G, C), in 0..1."""
        return counts.false_positive_rate

    def reason(self, observed: GroupCounts, group_index: int, class_index: int) -> str:
        """No rows, or none of another class."""
        del class_index
        return "no rows" if not observed.sizes[group_index] else "no negatives"

    def rows(self, observed: GroupCounts, group_index: int, class_index: int) -> int:
        """Negatives in the group."""
        return int(observed.sizes[group_index] - observed.support[group_index, class_index])
