"""Difference in the F1 of the positive class."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, GroupCounts, positive_f1, spread
from mindgap.metrics.group_sample import Statistic
from mindgap.metrics.metric import METRICS, AbstractNormGap


@METRICS.register("positive_f1_difference")
class PositiveF1Difference(AbstractNormGap):
    """Largest minus smallest group F1 of the positive class of a binary task, in 0..1.

    The max-group paper's "f1-diff". The positive class is the second one. F1 rises with the share of positives, so
    groups of different prevalence differ at the same error rates. Undefined where a group has no positives.
    F1 of .9 and .8 give .1.
    """

    name = "positive_f1_difference"
    statistic: ClassVar[Statistic] = "class_counts"

    def applies_to(self, classes: tuple[str, ...]) -> bool:
        """To two classes."""
        return len(classes) == 2

    def cells(self, observed: GroupCounts) -> NDArray[np.bool_]:
        """The positives of every group."""
        found = np.zeros((2, *observed.support.shape), dtype=np.bool_)
        found[0, :, -1] = True
        return found

    def vector(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """F1 of each group, float64 (..., G)."""
        del observed
        return positive_f1(counts.counts)

    def norm(self, vector: Floats) -> Floats:
        """Range, float64 (...)."""
        return spread(vector)

    def reason(self, observed: GroupCounts) -> str:
        """Another number of classes, an empty group, or the first group without positives."""
        if len(observed.classes) != 2:
            return f"defined for two classes only, here {len(observed.classes)}"
        lacking = observed.support[:, 1] == 0
        if (observed.sizes == 0).any() or not lacking.any():
            return super().reason(observed)
        return f"no positives in group {observed.groups[int(lacking.argmax())]!r}"
