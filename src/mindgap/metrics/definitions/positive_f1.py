"""F1 of the positive class."""

from __future__ import annotations

from typing import ClassVar

from mindgap.metrics.counts import Floats, positive_f1
from mindgap.metrics.group_sample import GroupSample
from mindgap.metrics.metric import METRICS, AbstractGroupMetric


@METRICS.register("positive_f1")
class PositiveF1(AbstractGroupMetric):
    """F1 of the positive class of a binary task, 2 TP / (positives + predicted positive), in 0..1.

    The max-group paper's F-score. The positive class is the second one; the true negatives do not show. It rises with
    the share of positives at the same error rates, so groups of different prevalence differ rightly. Undefined without
    positives. Counts [[3, 1], [0, 4]] give 8/(4 + 5) = 8/9.
    """

    name = "positive_f1"
    averages_classes: ClassVar[bool] = True  # no mean, but it too rests on the positives, however few

    def applies_to(self, classes: tuple[str, ...]) -> bool:
        """To two classes."""
        return len(classes) == 2

    def value(self, confusion: Floats) -> Floats:
        """Float64 (...) of confusion counts (..., 2, 2)."""
        return positive_f1(confusion)

    def reason(self, observed: GroupSample, index: int) -> str:
        """Another number of classes, no rows, or no positives."""
        n_classes = len(observed.counts.classes)
        if n_classes != 2:
            return f"defined for two classes only, here {n_classes}"
        return "no positives" if observed.counts.sizes[index] else super().reason(observed, index)
