"""Unfairness U."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.metrics.metric import METRICS, AbstractNormGap
from mindgap.metrics.unfairness import deviations


@METRICS.register("unfairness")
class Unfairness(AbstractNormGap):
    """U = Σ_g |A_g − A|, the summed distance of the groups' accuracies from the overall one.

    Sheng et al. 2024, eq. 1. It grows with the number of groups and counts a tiny group like a large one; a difference
    in case mix between groups shows as well (see ``unfairness_standardized``).
    Accuracies .8190, .5926 and .8169 overall give .2264.
    """

    name = "unfairness"
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def vector(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """A_g − A, float64 (..., G)."""
        del observed
        return deviations(counts)

    def norm(self, vector: Floats) -> Floats:
        """Sum of absolute values, float64 (...)."""
        return np.abs(vector).sum(axis=-1)

    def limits(self, observed: GroupCounts) -> tuple[float, float]:
        """0 to G − 1, which it comes near where one group has nearly all rows and every other is 1 away from it."""
        return 0.0, len(observed.groups) - 1.0
