"""Equalised odds: what its conventions share, the rates of every class against the rest and the classes compared.

Every convention is a seminorm of the groups' true and false positive rates of one class, then a mean, a sum or the
largest over the classes; with more than two groups a difference is a range, of the quantity named. A class without
positives and negatives in every group is left out and listed; which ones they are is decided on the observed counts,
and a resample that lost a rate compared is undefined.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, GroupCounts, divide
from mindgap.metrics.group_sample import Statistic
from mindgap.metrics.metric import AbstractClassGap, AbstractGapMetric, IntervalKind


class AbstractOddsGap(AbstractGapMetric):
    """A seminorm of the TPR and FPR of every class, and its mean, sum or largest over the classes compared."""

    statistic: ClassVar[Statistic] = "class_counts"
    interval: ClassVar[IntervalKind] = "norm_pivot"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def cells(self, observed: GroupCounts) -> NDArray[np.bool_]:
        """Positives and negatives of the classes compared."""
        return odds_cells(observed)

    @abstractmethod
    def class_norm(self, rates: Floats) -> Floats:
        """The seminorm of one class, float64 (...), of its TPR and FPR in every group (..., 2, G)."""

    def over_classes(self, by_class: Floats, observed: GroupCounts) -> Floats:
        """What becomes of the classes' values (..., C), float64 (...); their mean unless overridden."""
        return mean_of_usable(by_class, observed)

    def value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (...)."""
        return self.over_classes(self.class_norm(odds_rates(counts, observed)), observed)

    def distance(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """The seminorm of the rates' differences, float64 (...)."""
        return self.over_classes(self.class_norm(_moves(counts, observed)), observed)

    def reason(self, observed: GroupCounts) -> str:
        """An empty group, or no class to compare."""
        empty = (observed.sizes == 0).any()
        return super().reason(observed) if empty else "no class has positives and negatives in every group"

    def note(self, observed: GroupCounts) -> str | None:
        """The classes left out."""
        missing = np.flatnonzero(~usable_classes(observed)).tolist()
        if not missing:
            return None
        listed = "; ".join(f"{observed.classes[k]}: {lacking_cell(observed, k)}" for k in missing)
        return f"classes left out ({listed})"


class AbstractClassOddsGap(AbstractOddsGap, AbstractClassGap):
    """An equalised-odds gap that is also given for every class by itself."""

    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def class_value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (..., C); NaN for the classes left out."""
        return self.class_norm(odds_rates(counts, observed))

    def class_distance(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (..., C)."""
        return self.class_norm(_moves(counts, observed))

    def class_rows(self, observed: GroupCounts, index: int) -> int:
        """The smallest number of positives or of negatives in a group."""
        positives = observed.support[:, index]
        return int(np.minimum(positives, observed.sizes - positives).min())

    def class_reason(self, observed: GroupCounts, index: int) -> str:
        """The first group without positives or negatives."""
        return lacking_cell(observed, index)


def usable_classes(observed: GroupCounts) -> NDArray[np.bool_]:
    """Bool (C,): the classes with positives and negatives in every group."""
    return np.all((observed.support > 0) & (observed.support < observed.sizes[:, None]), axis=-2)


def odds_cells(observed: GroupCounts, *, positives: bool = True, negatives: bool = True) -> NDArray[np.bool_]:
    """Bool (2, G, C): the positives, the negatives, or both, of the usable classes in every group."""
    sides = np.array([positives, negatives])[:, None, None]
    return sides & np.broadcast_to(usable_classes(observed), (2, *observed.support.shape))


def odds_rates(counts: GroupCounts, observed: GroupCounts) -> Floats:
    """TPR and FPR, float64 (..., C, 2, G); NaN for the classes that the observed counts cannot compare."""
    return np.where(usable_classes(observed)[:, None, None], stacked_rates(counts), np.nan)


def stacked_rates(counts: GroupCounts) -> Floats:
    """TPR and FPR of every class, float64 (..., C, 2, G); NaN in a group without positives or negatives."""
    rates = np.stack([counts.true_positive_rate, counts.false_positive_rate], axis=-3)
    return np.moveaxis(rates, -1, -3)


def mean_of_usable(by_class: Floats, observed: GroupCounts) -> Floats:
    """Mean over the usable classes of values (..., C), float64 (...); NaN where one of them is, or without any."""
    return divide(sum_of_usable(by_class, observed), np.asarray(usable_classes(observed).sum(), dtype=np.float64))


def sum_of_usable(by_class: Floats, observed: GroupCounts) -> Floats:
    """Sum over the usable classes of values (..., C), float64 (...); NaN where one of them is, or without any."""
    usable = usable_classes(observed)
    if not usable.any():
        return np.full(by_class.shape[:-1], np.nan)
    return by_class[..., usable].sum(axis=-1)


def max_of_usable(by_class: Floats, observed: GroupCounts) -> Floats:
    """Largest over the usable classes of values (..., C), float64 (...); NaN where one of them is, or without any."""
    usable = usable_classes(observed)
    if not usable.any():
        return np.full(by_class.shape[:-1], np.nan)
    return by_class[..., usable].max(axis=-1)


def lacking_cell(observed: GroupCounts, index: int) -> str:
    """The first group without positives, else without negatives, of a class."""
    positives = observed.support[:, index]
    lacking = positives == 0
    if lacking.any():
        return f"no positives in group {observed.groups[int(lacking.argmax())]!r}"
    return f"no negatives in group {observed.groups[int((observed.sizes == positives).argmax())]!r}"


def sum_note(name: str, value: float, observed: GroupCounts) -> str | None:
    """What the literature prints for a mean over classes; None if it is undefined.

    Args:
        name: what the literature calls the sum.
        value: the mean over the classes compared.
        observed: the counts it is of.
    """
    compared = int(usable_classes(observed).sum())
    if not compared:
        return None
    return f"{name} as the literature prints it, the sum over {compared} classes, is {value * compared:.4f}"


def _moves(counts: GroupCounts, observed: GroupCounts) -> Floats:
    return odds_rates(counts, observed) - odds_rates(observed, observed)
