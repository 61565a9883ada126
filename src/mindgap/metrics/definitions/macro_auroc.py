"""Macro AUROC."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mindgap.metrics.counts import Floats
from mindgap.metrics.group_sample import GroupSample, Statistic
from mindgap.metrics.metric import METRICS, AbstractGroupFigure


@METRICS.register("macro_auroc")
class MacroAuroc(AbstractGroupFigure):
    """Mean over classes of the area under the ROC curve of the class against the rest, in 0..1.

    Hanley & McNeil 1982, one against the rest, over the classes with positives and negatives among the rows; ties count
    half. It says how well scores rank, nothing of the errors at any threshold nor of calibration; a group's areas say
    nothing of how its scores compare with another group's. Positives .9 and .4, negatives .6 and .1 give 3/4.
    """

    name = "macro_auroc"
    statistic: ClassVar[Statistic] = "roc"
    averages_classes: ClassVar[bool] = True

    def of_groups(self, sample: GroupSample) -> Floats:
        """Float64 (..., G)."""
        return np.full(sample.counts.sizes.shape, np.nan) if sample.roc is None else sample.roc.macro_auroc

    def resampled(self, sample: GroupSample, observed: GroupSample) -> Floats:
        """NaN where a class that the group has was lost."""
        values = self.of_groups(sample)
        if sample.roc is None or observed.roc is None:
            return values
        return np.where(sample.roc.lost(observed.roc), np.nan, values)

    def reason(self, observed: GroupSample, index: int) -> str:
        """No rows, or one class only."""
        empty = super().reason(observed, index)
        return "one class only, so no positives beside negatives" if observed.counts.sizes[index] else empty
