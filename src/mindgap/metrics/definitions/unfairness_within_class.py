"""The part of unfairness that the case mix does not explain."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from mindgap.metrics.case_mix import within_class_deviations
from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.metrics.metric import METRICS, AbstractNormGap


@METRICS.register("unfairness_within_class")
class UnfairnessWithinClass(AbstractNormGap):
    """Σ_g |Σ_c P(c|g) (A_gc − A_c)|, the groups' distances from what their case mix alone would give.

    Indirect standardisation: A_c is the accuracy of class c over all groups, and each group is compared on its own
    classes, so none is left out (``unfairness_standardized`` compares all groups on the same mix instead). It falls
    short where a group makes up most of a class, as A_c is then its own; better and worse classes of a group cancel.
    Two equal groups of one class with accuracies .9 and .7 give |.9 − .8| + |.7 − .8| = .2.
    """

    name = "unfairness_within_class"
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def vector(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Σ_c P(c|g) (A_gc − A_c), float64 (..., G)."""
        del observed
        return within_class_deviations(counts)

    def norm(self, vector: Floats) -> Floats:
        """Sum of absolute values, float64 (...)."""
        return np.abs(vector).sum(axis=-1)

    def limits(self, observed: GroupCounts) -> tuple[float, float]:
        """0 to G − 1.

        |A_gc − A_c| ≤ 1 − n_gc/n_c, so the sum is at most G − Σ_gc n_gc²/(n_g n_c) = G − 1 − χ²/n.
        """
        return 0.0, len(observed.groups) - 1.0
