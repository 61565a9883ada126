"""Underestimation index."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mindgap.metrics.counts import Floats, GroupCounts, divide
from mindgap.metrics.metric import METRICS, AbstractClassGap, IntervalKind


@METRICS.register("uei")
class UnderestimationIndex(AbstractClassGap):
    """Hellinger distance between predicted and true shares, sqrt(½ Σ_{y,s} (√P[ŷ=y, s] − √P[y, s])²), in 0..1.

    Blanzeisky & Cunningham, eq. 2 (which prints 1 − Σ √(P·P) under the root: the same, but negative by rounding). The
    sum is over all classes and groups jointly, per class over that class and the rest. 0 means that every group is
    given each class as often as it has it, not that errors are few, nor that groups are treated alike: it is no
    difference between groups, and it is above 0 where all are underestimated alike.
    Two groups of 50 rows with 25 positives each, of which 16 and 25 are predicted positive, give
    sqrt(½((√.16 − √.25)² + (√.34 − √.25)²)) = .092.
    """

    name = "uei"
    interval: ClassVar[IntervalKind] = "norm_pivot"

    def value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (...)."""
        del observed
        return _norm(_joint(counts))

    def distance(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """The norm of how far the vector √P̂ − √P moves, float64 (...)."""
        return _norm(_joint(counts) - _joint(observed))

    def class_value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (..., C)."""
        del observed
        return _norm(_one_against_rest(counts))

    def class_distance(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (..., C)."""
        return _norm(_one_against_rest(counts) - _one_against_rest(observed))

    def class_reason(self, observed: GroupCounts, index: int) -> str:
        """An empty group."""
        del index
        return self.reason(observed)


def _joint(counts: GroupCounts) -> Floats:
    """√P[ŷ=y, s] − √P[y, s], float64 (..., G, C); NaN in a group without rows."""
    return np.sqrt(_shares(counts.selected, counts)) - np.sqrt(_shares(counts.support, counts))


def _one_against_rest(counts: GroupCounts) -> Floats:
    """The same with y the class or the rest, float64 (..., C, G, 2)."""
    roots = [
        np.sqrt(np.stack([_shares(rows, counts), _shares(_rest(rows, counts), counts)], axis=-1))
        for rows in (counts.selected, counts.support)
    ]
    return np.moveaxis(roots[0] - roots[1], -2, -3)


def _rest(rows: Floats, counts: GroupCounts) -> Floats:
    """The rows not among these, (..., G, C); resampled counts are not whole, so the difference may round below 0."""
    return np.maximum(counts.sizes[..., None] - rows, 0.0)


def _shares(rows: Floats, counts: GroupCounts) -> Floats:
    """Rows (..., G, C) as shares of all rows of all groups; NaN in a group without rows."""
    sizes = counts.sizes[..., None]
    return np.where(sizes > 0, divide(rows, sizes.sum(axis=-2, keepdims=True)), np.nan)


def _norm(vector: Floats) -> Floats:
    """Euclidean norm over groups and classes, over √2, float64 (...)."""
    return np.sqrt((vector**2).sum(axis=(-1, -2)) / 2)
