"""Equalised odds, the largest difference in recall."""

from __future__ import annotations

from mindgap.metrics.counts import Floats, GroupCounts, spread
from mindgap.metrics.equalized_odds import AbstractOddsGap, max_of_usable
from mindgap.metrics.metric import METRICS


@METRICS.register("equalized_odds_deo")
class EqualizedOddsDeo(AbstractOddsGap):
    """Largest over classes of the range over groups of the recall, max_k (max_g TPR − min_g TPR), in 0..1.

    The "DEO" of several multi-class papers. It looks at no false positives, and the rarest class decides it, mostly by
    chance: read it with its noise floor. Classes without positives and negatives in every group are left out and
    listed. Recalls of .9 and .7 in one class and of .5 and .6 in the other give .2.
    """

    name = "equalized_odds_deo"

    def class_norm(self, rates: Floats) -> Floats:
        """Range of the TPR, float64 (...)."""
        return spread(rates[..., 0, :])

    def over_classes(self, by_class: Floats, observed: GroupCounts) -> Floats:
        """The largest, float64 (...)."""
        return max_of_usable(by_class, observed)
