"""Counts of rows by group, true class and predicted class: all that the count-based metrics need to know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import ShapeError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GroupCounts:
    """Confusion counts of every group; leading axes are replicates, and every property keeps them.

    Attributes:
        counts: float64 (..., G, C, C), rows by [group, true class, predicted class].
        groups: the G group names.
        classes: the C class names.
    """

    counts: Floats
    groups: tuple[str, ...]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        expected = (len(self.groups), len(self.classes), len(self.classes))
        if self.counts.shape[-3:] != expected:
            raise ShapeError(f"group counts must end in {expected}, got shape {self.counts.shape}")

    @cached_property
    def sizes(self) -> Floats:
        """Float64 (..., G): rows of each group."""
        return self.counts.sum(axis=(-1, -2))

    @cached_property
    def support(self) -> Floats:
        """Float64 (..., G, C): rows of each group whose true class is c."""
        return self.counts.sum(axis=-1)

    @cached_property
    def selected(self) -> Floats:
        """Float64 (..., G, C): rows of each group whose predicted class is c."""
        return self.counts.sum(axis=-2)

    @cached_property
    def hits(self) -> Floats:
        """Float64 (..., G, C): rows of each group and true class that are predicted right."""
        return np.diagonal(self.counts, axis1=-2, axis2=-1)

    @cached_property
    def accuracy(self) -> Floats:
        """Float64 (..., G), A_g in 0..1; NaN for an empty group."""
        return divide(self.hits.sum(axis=-1), self.sizes)

    @cached_property
    def overall_accuracy(self) -> Floats:
        """Float64 (...), A in 0..1 over the rows of all groups."""
        return divide(self.hits.sum(axis=(-1, -2)), self.counts.sum(axis=(-1, -2, -3)))

    @cached_property
    def true_positive_rate(self) -> Floats:
        """Float64 (..., G, C): recall of class c, one against the rest; NaN without positives."""
        return divide(self.hits, self.support)

    @cached_property
    def false_positive_rate(self) -> Floats:
        """Float64 (..., G, C): share of the other classes' rows predicted c; NaN without negatives."""
        return divide(self.selected - self.hits, self.sizes[..., None] - self.support)

    def keep(self, groups: NDArray[np.bool_]) -> GroupCounts:
        """The counts of some groups, chosen by a bool (G,) mask."""
        names = tuple(name for name, kept in zip(self.groups, groups, strict=True) if kept)
        return GroupCounts(self.counts[..., groups, :, :], names, self.classes)

    def replicates(self, counts: Floats) -> GroupCounts:
        """Other counts, float64 (..., G, C, C), of the same groups and classes."""
        return GroupCounts(counts, self.groups, self.classes)


def count_rows(
    labels: Integers, predicted: Integers, group_ids: Integers, *, groups: tuple[str, ...], classes: tuple[str, ...]
) -> GroupCounts:
    """Counts the rows whose group is known; ``group_ids`` (n,) is -1 elsewhere."""
    known = group_ids >= 0
    wide = len(classes)
    cells = (group_ids[known] * wide + labels[known]) * wide + predicted[known]
    counts = np.bincount(cells, minlength=len(groups) * wide * wide).astype(np.float64)
    return GroupCounts(counts.reshape(len(groups), wide, wide), groups, classes)


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """Element-wise quotient, float64; NaN where the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def mean_of_defined(values: Floats, *, axis: int = -1) -> Floats:
    """Mean over the entries that are not NaN; NaN where there are none."""
    defined = ~np.isnan(values)
    return divide(np.where(defined, values, 0.0).sum(axis=axis), defined.sum(axis=axis).astype(np.float64))


def macro_f1(confusion: Floats) -> Floats:
    """Mean over the classes with support of F1_c = 2 TP / (rows of c + rows predicted c), float64 (...) in 0..1.

    Args:
        confusion: float64 (..., C, C), rows by [true, predicted].
    """
    support = confusion.sum(axis=-1)
    f1 = divide(2 * np.diagonal(confusion, axis1=-2, axis2=-1), support + confusion.sum(axis=-2))
    return mean_of_defined(np.where(support > 0, f1, np.nan))


def positive_f1(confusion: Floats) -> Floats:
    """F1 of the second class of two, 2 TP / (positives + predicted positive), float64 (...) in 0..1.

    NaN without positives, and with another number of classes.

    Args:
        confusion: float64 (..., 2, 2), rows by [true, predicted].
    """
    if confusion.shape[-1] != 2:
        return np.full(confusion.shape[:-2], np.nan)
    positives, selected = confusion[..., 1, :].sum(axis=-1), confusion[..., :, 1].sum(axis=-1)
    return np.where(positives > 0, divide(2 * confusion[..., 1, 1], positives + selected), np.nan)


def spread(values: Floats, *, axis: int = -1) -> Floats:
    """Largest minus smallest along an axis: a seminorm; NaN where any entry is."""
    with np.errstate(invalid="ignore"):
        return values.max(axis=axis) - values.min(axis=axis)


def other_classes_note(there: NDArray[np.bool_], *, groups: tuple[str, ...], classes: tuple[str, ...]) -> str | None:
    """What to say of means over each group's own classes, bool (G, C); None where all groups have the same."""
    lacking = [
        f"{name}: {', '.join(groups[g] for g in np.flatnonzero(~there[:, k]).tolist())}"
        for k, name in enumerate(classes)
        if there[:, k].any() and not there[:, k].all()
    ]
    return f"groups' means are over different classes; lacking ({'; '.join(lacking)})" if lacking else None
