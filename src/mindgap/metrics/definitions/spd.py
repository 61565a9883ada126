"""Distance from the minority group's accuracy."""

from __future__ import annotations

import numpy as np

from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.metrics.metric import METRICS, AbstractNormGap


@METRICS.register("spd")
class AccuracySpd(AbstractNormGap):
    """Mean distance of the groups' accuracies from the minority's, mean_g |A_g − A_minority|, in 0..1.

    ESFair's "SPD", over all groups, the minority (the smallest group, the first of a tie) included. It is not the
    statistical parity difference of selection rates, and a gap among the other groups may leave it unchanged.
    """

    name = "spd"

    def vector(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """A_g − A_minority, float64 (..., G)."""
        minority = int(observed.sizes.argmin())
        accuracy = counts.accuracy
        return accuracy - accuracy[..., [minority]]

    def norm(self, vector: Floats) -> Floats:
        """Mean absolute value, float64 (...)."""
        return np.abs(vector).mean(axis=-1)

    def limits(self, observed: GroupCounts) -> tuple[float, float]:
        """0 to 1 − 1/G: the minority's own distance is 0."""
        return 0.0, 1 - 1 / len(observed.groups)
