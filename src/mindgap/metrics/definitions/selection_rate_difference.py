"""Selection rate difference."""

from __future__ import annotations

from typing import ClassVar

from mindgap.metrics.counts import Floats, GroupCounts, divide, spread
from mindgap.metrics.metric import METRICS, AbstractClassGap, IntervalKind


@METRICS.register("selection_rate_difference")
class SelectionRateDifference(AbstractClassGap):
    """Largest minus smallest P(ŷ = c | g) per class, and its mean over the classes, in 0..1.

    "Demographic parity difference" or "statistical parity difference". It ignores the labels: groups with different
    case mix differ rightly. ``n`` of a class is the size of the smallest group. Rates of .2 and .5 give .3.
    """

    name = "selection_rate_difference"
    interval: ClassVar[IntervalKind] = "norm_pivot"

    def value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (...)."""
        return self.class_value(counts, observed).mean(axis=-1)

    def distance(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """The mean of how far the classes' differences of rates move, float64 (...)."""
        return self.class_distance(counts, observed).mean(axis=-1)

    def class_value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (..., C)."""
        del observed
        return spread(_rates(counts), axis=-2)

    def class_distance(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Range over groups of rate* − rate, float64 (..., C)."""
        return spread(_rates(counts) - _rates(observed), axis=-2)

    def class_reason(self, observed: GroupCounts, index: int) -> str:
        """An empty group."""
        del index
        return self.reason(observed)


def _rates(counts: GroupCounts) -> Floats:
    return divide(counts.selected, counts.sizes[..., None])
