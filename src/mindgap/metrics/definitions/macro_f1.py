"""Macro-F1."""

from __future__ import annotations

from typing import ClassVar

from mindgap.metrics.counts import Floats, macro_f1
from mindgap.metrics.metric import METRICS, AbstractGroupMetric


@METRICS.register("macro_f1")
class MacroF1(AbstractGroupMetric):
    """Mean F1 over the classes with support among the rows, F1_c = 2 TP / (rows of c + rows predicted c), in 0..1.

    A class that is only predicted, never true, takes recall from the others but has no term of its own.
    Counts [[3, 1], [0, 4]] give (6/7 + 8/9)/2.
    """

    name = "macro_f1"
    averages_classes: ClassVar[bool] = True

    def value(self, confusion: Floats) -> Floats:
        """Float64 (...) of confusion counts (..., C, C)."""
        return macro_f1(confusion)
