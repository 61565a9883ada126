"""Equalised odds as MEDFAIR computes it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mindgap.metrics.counts import Floats, GroupCounts, spread
from mindgap.metrics.equalized_odds import AbstractOddsGap, mean_of_usable
from mindgap.metrics.metric import METRICS, Direction


@METRICS.register("equalized_odds_medfair")
class EqualizedOddsMedfair(AbstractOddsGap):
    """1 − ½(|ΔTPR| + |ΔFPR|) of the positive class of a binary task, in 0..1; 1 is parity, larger is better.

    MEDFAIR (Zong et al. 2023), with ranges where there are more than two groups. The positive class is the second one;
    the first gives the same, as its rates are the complements. It is 1 − ``equalized_odds_abs_mean``, and undefined
    with more than two classes. TPRs of .9 and .7 with FPRs of .2 and .1 give 1 − (.2 + .1)/2 = .85.
    """

    name = "equalized_odds_medfair"
    direction: ClassVar[Direction] = "larger"
    ideal: ClassVar[float] = 1.0

    def class_norm(self, rates: Floats) -> Floats:
        """Half of the two ranges' sum, float64 (...)."""
        return spread(rates).mean(axis=-1)

    def over_classes(self, by_class: Floats, observed: GroupCounts) -> Floats:
        """That of the two classes, which share one value, float64 (...); NaN with more."""
        if len(observed.classes) != 2:
            return np.full(by_class.shape[:-1], np.nan)
        return mean_of_usable(by_class, observed)

    def value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (...)."""
        return 1 - super().value(counts, observed)

    def reason(self, observed: GroupCounts) -> str:
        """A task that is not binary, an empty group, or no positives or negatives in a group."""
        if len(observed.classes) != 2:
            return f"defined for two classes only, here {len(observed.classes)}"
        return super().reason(observed)

    def note(self, observed: GroupCounts) -> str | None:
        """The classes left out of a binary task."""
        return super().note(observed) if len(observed.classes) == 2 else None
