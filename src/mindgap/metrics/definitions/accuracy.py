"""Accuracy."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mindgap.metrics.counts import Floats, divide
from mindgap.metrics.metric import METRICS, AbstractGroupMetric


@METRICS.register("accuracy")
class Accuracy(AbstractGroupMetric):
    """Share of rows predicted right, A in 0..1.

    Says nothing of which classes the errors fall on. Counts [[3, 1], [0, 4]] give 7/8.
    """

    name = "accuracy"
    is_share: ClassVar[bool] = True

    def value(self, confusion: Floats) -> Floats:
        """Float64 (...) of confusion counts (..., C, C)."""
        return divide(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-1, -2)))
