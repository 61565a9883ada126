"""Equalised odds, averaged over pairs of groups."""

from __future__ import annotations

import numpy as np

from mindgap.metrics.counts import Floats
from mindgap.metrics.equalized_odds import AbstractOddsGap
from mindgap.metrics.metric import METRICS


@METRICS.register("equalized_odds_pairs_mean")
class EqualizedOddsPairsMean(AbstractOddsGap):
    """Mean over classes and pairs of groups of ½(|ΔTPR| + |ΔFPR|), one class against the rest, in 0..1.

    Wei & Chakraborti, eq. 21, for every pair; ``equalized_odds_abs_mean`` with two groups, less with more. One group
    apart from many alike barely shows. Classes without positives and negatives in every group are left out and listed.
    TPRs of .9, .7 and .8 with FPRs of .1, .1 and .3 give (.10 + .15 + .15)/3 = .133.
    """

    name = "equalized_odds_pairs_mean"

    def class_norm(self, rates: Floats) -> Floats:
        """Mean over pairs, float64 (...).

        Of sorted values x_1 ≤ … ≤ x_G, Σ_{i<j} |x_i − x_j| = Σ_i (2i − G − 1) x_i.
        """
        n_groups = int(rates.shape[-1])
        weights = np.linspace(1 - n_groups, n_groups - 1, n_groups)  # 2i − G − 1
        of_pairs = (np.sort(rates, axis=-1) * weights).sum(axis=-1)
        return of_pairs.mean(axis=-1) * 2 / (n_groups * (n_groups - 1))
