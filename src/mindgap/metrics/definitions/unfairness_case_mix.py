"""The part of unfairness that the case mix explains."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from mindgap.metrics.case_mix import case_mix_deviations
from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.metrics.metric import METRICS, AbstractNormGap


@METRICS.register("unfairness_case_mix")
class UnfairnessCaseMix(AbstractNormGap):
    """Σ_g |Σ_c P(c|g) A_c − A|, what U would be if every group were treated alike within each class.

    A_c is the accuracy of class c over all groups. With ``unfairness_within_class`` the other half of a split whose
    vectors add up to that of ``unfairness``, so U is at most the two together. How groups are treated does not show.
    Permuting groups within classes leaves it as it is: its noise floor equals its value and p is 1 (unless the clusters
    permuted differ in size). Classes of A_c .9 and .6, shared 5:1 by one of two equal groups and 1:5 by
    the other, give |.85 − .75| + |.65 − .75| = .2.
    """

    name = "unfairness_case_mix"
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def vector(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Σ_c P(c|g) A_c − A, float64 (..., G)."""
        del observed
        return case_mix_deviations(counts)

    def norm(self, vector: Floats) -> Floats:
        """Sum of absolute values, float64 (...)."""
        return np.abs(vector).sum(axis=-1)

    def limits(self, observed: GroupCounts) -> tuple[float, float]:
        """0 to G − 1, as plain unfairness: the expected accuracies lie in 0..1 and have the mean A as well."""
        return 0.0, len(observed.groups) - 1.0
