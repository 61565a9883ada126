"""Selection rate ratio."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mindgap.metrics.counts import Floats, GroupCounts, divide, mean_of_defined, spread
from mindgap.metrics.metric import METRICS, AbstractClassGap, Direction, IntervalKind


@METRICS.register("selection_rate_ratio")
class SelectionRateRatio(AbstractClassGap):
    """Smallest over largest P(ŷ = c | g) per class, and its mean over the classes, in 0..1; 1 is parity.

    "Disparate impact" in the usual sense. It ignores the labels: groups with different case mix differ rightly.
    A class that is never predicted is left out; one that a single group is never predicted leaves no interval. ``n`` of
    a class is the size of the smallest group. Rates of .2 and .5 give .4.
    """

    name = "selection_rate_ratio"
    direction: ClassVar[Direction] = "larger"
    ideal: ClassVar[float] = 1.0
    interval: ClassVar[IntervalKind] = "log"

    def value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Mean over the classes predicted at all, float64 (...)."""
        return mean_of_defined(self.class_value(counts, observed))

    def class_value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (..., C)."""
        del observed
        rates = _rates(counts)
        return divide(rates.min(axis=-2), rates.max(axis=-2))

    def class_distance(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Range over groups of log rate* − log rate, float64 (..., C); NaN where an observed rate is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return spread(np.log(_rates(counts)) - np.log(_rates(observed)), axis=-2)

    def distance(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """How far the mean may fall on the log scale, float64 (...); NaN where a group is never predicted a class."""
        return self.fall(*self._moves(counts, observed))

    def upper_distance(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """How far the mean may rise on the log scale, float64 (...) ≥ the fall."""
        return self.rise(*self._moves(counts, observed))

    def fall(self, ratios: Floats, moves: Floats) -> Floats:
        """−log Σ_c w_c e^(−s_c), w_c ∝ the class's ratio (C,) and s_c (..., C) how far its logarithm moves."""
        return -_log_mean_exp(ratios, -moves)

    def rise(self, ratios: Floats, moves: Floats) -> Floats:
        """Log Σ_c w_c e^(s_c): more than the fall, by Jensen's inequality, as a mean of exponentials is not linear."""
        return _log_mean_exp(ratios, moves)

    def no_interval(self, observed: GroupCounts) -> str | None:
        """A class that one group is never predicted and another is: its ratio of 0 is known to no factor."""
        selected = observed.selected
        lacking = (selected == 0) & (selected.sum(axis=0) > 0)
        if not lacking.any():
            return None
        index, group = (int(k) for k in np.argwhere(lacking.T)[0])
        return f"no interval: class {observed.classes[index]!r} is never predicted in group {observed.groups[group]!r}"

    def _moves(self, counts: GroupCounts, observed: GroupCounts) -> tuple[Floats, Floats]:
        ratios = np.nan_to_num(self.class_value(observed, observed))
        never = observed.selected.sum(axis=0) == 0
        return ratios, np.where(never, 0.0, self.class_distance(counts, observed))

    def class_reason(self, observed: GroupCounts, index: int) -> str:
        """An empty group, or a class without predictions."""
        del index
        return self.reason(observed) if (observed.sizes == 0).any() else "never predicted"


def _rates(counts: GroupCounts) -> Floats:
    return divide(counts.selected, counts.sizes[..., None])


def _log_mean_exp(weights: Floats, exponents: Floats) -> Floats:
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.log(divide((weights * np.exp(exponents)).sum(axis=-1), weights.sum()))
