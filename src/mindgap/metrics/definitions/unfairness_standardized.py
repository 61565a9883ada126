"""Unfairness with the case mix standardised."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.metrics.group_sample import Statistic
from mindgap.metrics.metric import METRICS, AbstractNormGap
from mindgap.metrics.unfairness import (
    MIN_COVERED,
    comparable_classes,
    covered_share,
    standardized_deviations,
    uncovered_reason,
)


@METRICS.register("unfairness_standardized")
class UnfairnessStandardized(AbstractNormGap):
    """Σ_g |A_g^std − A^std|, unfairness as if every group had the same class shares.

    A_g^std = Σ_{C*} P*(c) A_{g,c}, over the classes C* with at least 5 rows in every group. Undefined if C* holds under
    half of the rows. It compares class by class, so a gap within the left-out classes is not seen.
    """

    name = "unfairness_standardized"
    statistic: ClassVar[Statistic] = "class_counts"
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def cells(self, observed: GroupCounts) -> NDArray[np.bool_]:
        """Those of the classes compared."""
        own = np.broadcast_to(comparable_classes(observed), observed.support.shape)
        return np.stack([own, np.zeros_like(own)])

    def vector(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """A_g^std − A^std, float64 (..., G); C* is that of the observed counts."""
        kept = comparable_classes(observed)
        if not covered_share(observed, kept) >= MIN_COVERED:
            return np.full(counts.counts.shape[:-2], np.nan)
        return standardized_deviations(counts, kept)

    def norm(self, vector: Floats) -> Floats:
        """Sum of absolute values, float64 (...)."""
        return np.abs(vector).sum(axis=-1)

    def limits(self, observed: GroupCounts) -> tuple[float, float]:
        """0 to G − 1, as plain unfairness: that bounds every class, and this is at most a mean over classes."""
        return 0.0, len(observed.groups) - 1.0

    def reason(self, observed: GroupCounts) -> str:
        """How few rows can be compared."""
        return uncovered_reason(covered_share(observed, comparable_classes(observed)))

    def note(self, observed: GroupCounts) -> str | None:
        """The classes compared, and the share of the rows left out with the others."""
        kept = comparable_classes(observed)
        if kept.all():
            return None
        compared = ", ".join(name for name, k in zip(observed.classes, kept, strict=True) if k) or "none"
        left_out = ", ".join(name for name, k in zip(observed.classes, kept, strict=True) if not k)
        share = 1 - covered_share(observed, kept)
        return f"classes compared: {compared}; left out: {left_out} ({share:.1%} of the rows)"

    def rows(self, observed: GroupCounts) -> int:
        """Rows of the classes compared."""
        return int(observed.support[:, comparable_classes(observed)].sum())
