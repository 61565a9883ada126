"""Accuracy difference."""

from __future__ import annotations

from mindgap.metrics.counts import Floats, GroupCounts, spread
from mindgap.metrics.metric import METRICS, AbstractNormGap


@METRICS.register("accuracy_difference")
class AccuracyDifference(AbstractNormGap):
    """Largest minus smallest group accuracy, max_g A_g − min_g A_g, in 0..1.

    The max-group paper's "acc-diff". With many small groups it is large by chance: read it with its noise floor.
    """

    name = "accuracy_difference"

    def vector(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """A_g, float64 (..., G)."""
        del observed
        return counts.accuracy

    def norm(self, vector: Floats) -> Floats:
        """Range, float64 (...)."""
        return spread(vector)
