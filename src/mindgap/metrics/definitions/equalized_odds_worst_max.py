"""Equalised odds, the largest difference of all."""

from __future__ import annotations

from mindgap.metrics.counts import Floats, GroupCounts, spread
from mindgap.metrics.equalized_odds import AbstractOddsGap, max_of_usable
from mindgap.metrics.metric import METRICS


@METRICS.register("equalized_odds_worst_max")
class EqualizedOddsWorstMax(AbstractOddsGap):
    """Largest over classes, one against the rest, of the ranges over groups of TPR and FPR, in 0..1.

    ``equalized_odds_worst`` with the maximum for the mean. The rarest class decides it, mostly by chance: read it with
    its noise floor. Classes without positives and negatives in every group are left out and listed.
    Two classes of .2 and .3 give .3.
    """

    name = "equalized_odds_worst_max"

    def class_norm(self, rates: Floats) -> Floats:
        """The larger of the two ranges, float64 (...)."""
        return spread(rates).max(axis=-1)

    def over_classes(self, by_class: Floats, observed: GroupCounts) -> Floats:
        """The largest, float64 (...)."""
        return max_of_usable(by_class, observed)
