"""Balanced accuracy."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mindgap.metrics.counts import Floats, divide, mean_of_defined
from mindgap.metrics.metric import METRICS, AbstractGroupMetric


@METRICS.register("balanced_accuracy")
class BalancedAccuracy(AbstractGroupMetric):
    """Mean recall over the classes with support among the rows, in 0..1.

    Groups with different classes are therefore averaged over different sets. Counts [[3, 1], [0, 4]] give (.75 + 1)/2.
    """

    name = "balanced_accuracy"
    averages_classes: ClassVar[bool] = True

    def value(self, confusion: Floats) -> Floats:
        """Float64 (...) of confusion counts (..., C, C)."""
        hits = np.diagonal(confusion, axis1=-2, axis2=-1)
        return mean_of_defined(divide(hits, confusion.sum(axis=-1)))
