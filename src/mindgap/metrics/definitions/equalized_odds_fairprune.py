"""Equalised odds as FairPrune computes it."""

from __future__ import annotations

import math
from typing import ClassVar

from mindgap.metrics.counts import Floats, GroupCounts, spread
from mindgap.metrics.equalized_odds import AbstractOddsGap, sum_of_usable, usable_classes
from mindgap.metrics.metric import METRICS


@METRICS.register("equalized_odds_fairprune")
class EqualizedOddsFairprune(AbstractOddsGap):
    """Sum over classes, one against the rest, of the range over groups of TPR + FPR; two groups: Σ_k |ΔTPR_k + ΔFPR_k|.

    Wu et al. 2022 (FairPrune), "Eodd". A higher TPR in one group and a higher FPR in the other cancel, so 0 does not
    mean equal odds; and it grows with the number of classes, up to twice that. Classes without positives and negatives
    in every group are left out and listed. TPRs of .9 and .7 with FPRs of .2 and .1 add .3, with .1 and .3 nothing.
    """

    name = "equalized_odds_fairprune"
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def class_norm(self, rates: Floats) -> Floats:
        """Range of the rates' sum, float64 (...)."""
        return spread(rates.sum(axis=-2))

    def over_classes(self, by_class: Floats, observed: GroupCounts) -> Floats:
        """Their sum, float64 (...)."""
        return sum_of_usable(by_class, observed)

    def limits(self, observed: GroupCounts) -> tuple[float, float]:
        """0 to 2 for every class compared."""
        return 0.0, 2.0 * int(usable_classes(observed).sum())
