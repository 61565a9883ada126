"""Macro-F1 difference."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, GroupCounts, macro_f1, other_classes_note, spread
from mindgap.metrics.group_sample import Statistic
from mindgap.metrics.metric import METRICS, AbstractNormGap


@METRICS.register("f1_difference")
class F1Difference(AbstractNormGap):
    """Largest minus smallest group macro-F1, in 0..1.

    The max-group paper's "f1-diff" with macro-F1 for its F-score. Each group's mean is over its own classes; a resample
    in which a group lost one is undefined, as the mean over the others is another quantity. Means of .8 and .7 give .1.
    """

    name = "f1_difference"
    statistic: ClassVar[Statistic] = "class_counts"

    def cells(self, observed: GroupCounts) -> NDArray[np.bool_]:
        """The rows of each class that a group has."""
        own = observed.support > 0
        return np.stack([own, np.zeros_like(own)])

    def note(self, observed: GroupCounts) -> str | None:
        """The classes that a group lacks, whose mean is then over others."""
        return other_classes_note(observed.support > 0, groups=observed.groups, classes=observed.classes)

    def vector(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Macro-F1 of each group, float64 (..., G); NaN where it lost a class that it has."""
        lost = ((observed.support > 0) & (counts.support == 0)).any(axis=-1)
        return np.where(lost, np.nan, macro_f1(counts.counts))

    def norm(self, vector: Floats) -> Floats:
        """Range, float64 (...)."""
        return spread(vector)
