"""Equalised odds, mean of absolute differences."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, GroupCounts, divide, spread
from mindgap.metrics.metric import METRICS, AbstractClassGap, IntervalKind


@METRICS.register("equalized_odds_abs_mean")
class EqualizedOddsAbsMean(AbstractClassGap):
    """Mean over classes, one against the rest, of half the range over groups of the TPR plus that of the FPR, in 0..1.

    Wei & Chakraborti, eq. 21; two groups: fairlearn's ``agg="mean"``. Over the classes with positives and negatives in
    every group, the others are listed; a resample that lost one of them is undefined. ``n`` of a class is the smallest
    number of positives or of negatives in a group: a rate of 0 or 1 among few rows does not vary in resamples, so the
    interval is then too short. TPRs of .9 and .7 with FPRs of .2 and .1 give (.2 + .1)/2 = .15.
    """

    name = "equalized_odds_abs_mean"
    interval: ClassVar[IntervalKind] = "norm_pivot"

    def value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (...)."""
        return _mean_of_usable(self.class_value(counts, observed), observed)

    def distance(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """The seminorm of the rates' differences, float64 (...)."""
        return _mean_of_usable(self.class_distance(counts, observed), observed)

    def class_value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (..., C)."""
        rates = _rates(counts, observed)
        return spread(rates).mean(axis=-1)

    def class_distance(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (..., C)."""
        return spread(_rates(counts, observed) - _rates(observed, observed)).mean(axis=-1)

    def class_rows(self, observed: GroupCounts, index: int) -> int:
        """The smallest number of positives or of negatives in a group."""
        positives = observed.support[:, index]
        return int(np.minimum(positives, observed.sizes - positives).min())

    def reason(self, observed: GroupCounts) -> str:
        """An empty group, or no class to compare."""
        empty = (observed.sizes == 0).any()
        return super().reason(observed) if empty else "no class has positives and negatives in every group"

    def class_reason(self, observed: GroupCounts, index: int) -> str:
        """The first group without positives or negatives."""
        positives = observed.support[:, index]
        lacking = positives == 0
        if lacking.any():
            return f"no positives in group {observed.groups[int(lacking.argmax())]!r}"
        return f"no negatives in group {observed.groups[int((observed.sizes == positives).argmax())]!r}"


def _usable(observed: GroupCounts) -> NDArray[np.bool_]:
    """Bool (C,): the classes with positives and negatives in every group."""
    return np.all((observed.support > 0) & (observed.support < observed.sizes[:, None]), axis=-2)


def _mean_of_usable(by_class: Floats, observed: GroupCounts) -> Floats:
    """Mean over the usable classes, float64 (...); NaN where one of them is, or where there are none."""
    usable = _usable(observed)
    return divide(np.where(usable, by_class, 0.0).sum(axis=-1), np.asarray(usable.sum(), dtype=np.float64))


def _rates(counts: GroupCounts, observed: GroupCounts) -> Floats:
    """TPR and FPR, float64 (..., C, 2, G); NaN for the classes that the observed counts cannot compare."""
    rates = np.stack([counts.true_positive_rate, counts.false_positive_rate], axis=-3)
    return np.moveaxis(np.where(_usable(observed), rates, np.nan), -1, -3)
