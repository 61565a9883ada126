"""Underestimation score."""

from __future__ import annotations

from mindgap.metrics.counts import Floats, GroupCounts, divide
from mindgap.metrics.metric import METRICS, AbstractClassRate

MIN_ROWS = 5


@METRICS.register("underestimation")
class Underestimation(AbstractClassRate):
    """How often a group is given a class over how often it has it, US = P[ŷ=c | s] / P[y=c | s], in 0..∞; 1 is ideal.

    Blanzeisky & Cunningham, eq. 1. Below 1 the class is underestimated in that group, above 1 overestimated. It counts
    no errors: as many false positives as missed positives give 1. ``n`` are the rows of the group that are of the
    class. 16 rows given a class of which 20 are there give .8.

    Its interval is symmetric on the log scale (``mindgap.metrics.class_rate_interval``). Without the rule of five rows
    it holds the truth 40 to 85 % of the time for good models of small groups, as few errors are all that moves it.
    """

    name = "underestimation"

    def rates(self, counts: GroupCounts) -> Floats:
        """Float64 (..., G, C), in 0..∞."""
        return divide(counts.selected, counts.support)

    def reason(self, observed: GroupCounts, group_index: int, class_index: int) -> str:
        """No rows, or none of the class."""
        del class_index
        return "no rows" if not observed.sizes[group_index] else "no positives"

    def rows(self, observed: GroupCounts, group_index: int, class_index: int) -> int:
        """Positives in the group."""
        return int(observed.support[group_index, class_index])

    def no_interval(self, observed: GroupCounts, group_index: int, class_index: int) -> str | None:
        """Fewer than five rows of the class, given the class, or wrong about it: the ratio moves only by the last."""
        support = observed.support[group_index, class_index]
        selected = observed.selected[group_index, class_index]
        wrong = support + selected - 2 * observed.hits[group_index, class_index]
        for number, what in ((support, "of the class"), (selected, "given the class"), (wrong, "wrong about it")):
            if number < MIN_ROWS:
                return f"no interval: {int(number)} row{'s' if number != 1 else ''} {what}, under {MIN_ROWS}"
        return None
