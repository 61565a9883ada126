"""Equalised odds, mean of absolute differences."""

from __future__ import annotations

from mindgap.metrics.counts import Floats, spread
from mindgap.metrics.equalized_odds import AbstractClassOddsGap
from mindgap.metrics.metric import METRICS


@METRICS.register("equalized_odds_abs_mean")
class EqualizedOddsAbsMean(AbstractClassOddsGap):
    """Mean over classes, one against the rest, of half the range over groups of the TPR plus that of the FPR, in 0..1.

    Wei & Chakraborti, eq. 21; two groups: fairlearn's ``agg="mean"``. Over the classes with positives and negatives in
    every group, the others are listed; a resample that lost one of them is undefined. ``n`` of a class is the smallest
    number of positives or of negatives in a group. TPRs of .9 and .7 with FPRs of .2 and .1 give (.2 + .1)/2 = .15.
    """

    name = "equalized_odds_abs_mean"

    def class_norm(self, rates: Floats) -> Floats:
        """Half of the two ranges' sum, float64 (...)."""
        return spread(rates).mean(axis=-1)
