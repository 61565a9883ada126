"""Equalised odds, the larger difference."""

from __future__ import annotations

from mindgap.metrics.counts import Floats, spread
from mindgap.metrics.equalized_odds import AbstractClassOddsGap
from mindgap.metrics.metric import METRICS


@METRICS.register("equalized_odds_worst")
class EqualizedOddsWorst(AbstractClassOddsGap):
    """Mean over classes, one against the rest, of the larger of the ranges over groups of TPR and FPR, in 0..1.

    Per class fairlearn's default (``agg="worst_case"``). Between one and two times ``equalized_odds_abs_mean``. It does
    not say which of the two rates differs. Classes without positives and negatives in every group are left out and
    listed. TPRs of .9 and .7 with FPRs of .2 and .1 give .2.
    """

    name = "equalized_odds_worst"

    def class_norm(self, rates: Floats) -> Floats:
        """The larger of the two ranges, float64 (...)."""
        return spread(rates).max(axis=-1)
