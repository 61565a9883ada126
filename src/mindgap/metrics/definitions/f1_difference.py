"""Macro-F1 difference."""

from __future__ import annotations

from mindgap.metrics.counts import Floats, GroupCounts, macro_f1, spread
from mindgap.metrics.metric import METRICS, AbstractNormGap


@METRICS.register("f1_difference")
class F1Difference(AbstractNormGap):
    """Largest minus smallest group macro-F1, in 0..1.

    The max-group paper's "f1-diff" with macro-F1 for its F-score. Each group's mean is over its own classes.
    """

    name = "f1_difference"

    def vector(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Macro-F1 of each group, float64 (..., G)."""
        del observed
        return macro_f1(counts.counts)

    def norm(self, vector: Floats) -> Floats:
        """Range, float64 (...)."""
        return spread(vector)
