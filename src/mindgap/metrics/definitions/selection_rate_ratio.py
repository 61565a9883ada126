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
    A class that is never predicted is left out. Rates of .2 and .5 give .4.
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
        """−log Σ_c w_c e^(−s_c), w_c ∝ the class's ratio and s_c its distance: no replicate's mean falls further."""
        weights = np.nan_to_num(self.class_value(observed, observed))
        distances = np.where(weights > 0, self.class_distance(counts, observed), 0.0)
        with np.errstate(divide="ignore"):
            return -np.log(divide((weights * np.exp(-distances)).sum(axis=-1), weights.sum()))

    def class_reason(self, observed: GroupCounts, index: int) -> str:
        """An empty group, or a class without predictions."""
        del index
        return self.reason(observed) if (observed.sizes == 0).any() else "never predicted"


def _rates(counts: GroupCounts) -> Floats:
    return divide(counts.selected, counts.sizes[..., None])
