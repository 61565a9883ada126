"""Equalised odds, the pair of groups that differs most."""

from __future__ import annotations

import numpy as np

from mindgap.metrics.counts import Floats, spread
from mindgap.metrics.equalized_odds import AbstractOddsGap
from mindgap.metrics.metric import METRICS


@METRICS.register("equalized_odds_pairs_max")
class EqualizedOddsPairsMax(AbstractOddsGap):
    """Mean over classes of the largest ½(|ΔTPR| + |ΔFPR|) of any pair of groups, one class against the rest, in 0..1.

    Wei & Chakraborti, eq. 21, for every pair. At most ``equalized_odds_abs_mean``, whose two ranges may come from
    different pairs; the same with two groups. The other pairs do not show. Classes without positives and negatives in
    every group are left out and listed. TPRs of .9, .7 and .8 with FPRs of .1, .1 and .3 give ½(.1 + .2) = .15.
    """

    name = "equalized_odds_pairs_max"

    def class_norm(self, rates: Floats) -> Floats:
        """Half the largest |ΔTPR| + |ΔFPR|, float64 (...).

        |a| + |b| = max(|a + b|, |a − b|), so the largest of a pair is the larger range of TPR + FPR and TPR − FPR.
        """
        tpr, fpr = rates[..., 0, :], rates[..., 1, :]
        return np.maximum(spread(tpr + fpr), spread(tpr - fpr)) / 2
