"""Unfairness U and its standardised form: their terms on counts, and short functions that need no interval.

U = Σ_g |A_g − A| (Sheng et al. 2024, eq. 1), a fraction; A is over the rows whose group is known. The standardised form
weighs every group's class accuracies with the same class shares, so that a group with easier classes gains nothing.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from mindgap.core.groups import Groups
from mindgap.metrics.counts import Floats, GroupCounts, Integers, count_rows, divide

MIN_CELL = 5
MIN_COVERED = 0.5


def group_accuracies(labels: Integers, predicted: Integers, groups: Groups) -> Floats:
    """Accuracy of every group, float64 (G,) in 0..1; NaN for a group without rows.

    Args:
        labels: int64 (n,) true classes.
        predicted: int64 (n,) predicted classes.
        groups: groups of the n rows.
    """
    return _right_or_wrong(labels, predicted, groups).accuracy


def unfairness(
    labels: Integers,
    predicted: Integers,
    groups: Groups,
    *,
    standardized: bool = False,
    exclude: Collection[str] = (),
) -> tuple[float, str | None]:
    """U = Σ_g |A_g − A| (Sheng et al. 2024, eq. 1), or its standardised form, without an interval.

    Args:
        labels: int64 (n,) true classes.
        predicted: int64 (n,) predicted classes.
        groups: groups of the n rows; rows of unknown group do not count.
        standardized: whether to standardise the case mix.
        exclude: names of groups without a term of their own; their rows still count in A.

    Returns:
        The value, and None or the reason why it is NaN.

    Example:
        Accuracies .8190 (light), .5926 (dark), .8169 (overall) give .0021 + .2243 = .2264.
    """
    compared = np.array([name not in exclude for name in groups.names])
    if compared.sum() < 2:
        return float("nan"), f"fewer than two groups of {groups.attribute!r} are compared"
    if not standardized:
        counts = _right_or_wrong(labels, predicted, groups)
        terms = deviations(counts)[compared]
        return _total(terms, counts, compared)
    classes = tuple(str(k) for k in range(int(max(labels.max(initial=0), predicted.max(initial=0))) + 1))
    counts = count_rows(labels, predicted, groups.ids, groups=groups.names, classes=classes)
    kept = comparable_classes(counts.keep(compared))
    share = covered_share(counts, kept)
    if not share >= MIN_COVERED:
        return float("nan"), uncovered_reason(share)
    return _total(standardized_deviations(counts, kept)[compared], counts, compared)


def deviations(counts: GroupCounts) -> Floats:
    """A_g − A, float64 (..., G)."""
    return counts.accuracy - counts.overall_accuracy[..., None]


def comparable_classes(observed: GroupCounts) -> NDArray[np.bool_]:
    """C*, bool (C,): the classes with at least 5 rows in every group."""
    return np.all(observed.support >= MIN_CELL, axis=-2)


def covered_share(observed: GroupCounts, kept: NDArray[np.bool_]) -> float:
    """Share in 0..1 of the rows whose class is kept; NaN without rows."""
    support = observed.support.sum(axis=-2)
    return float(divide(support[kept].sum(), support.sum()))


def uncovered_reason(share: float) -> str:
    """Why the standardised form is undefined."""
    return f"classes with {MIN_CELL} or more rows in every group hold {share:.0%} of the rows, under {MIN_COVERED:.0%}"


def standardized_deviations(counts: GroupCounts, kept: NDArray[np.bool_]) -> Floats:
    """A_g^std − A^std, float64 (..., G); NaN where a kept class has no row in a group.

    A_g^std = Σ_{C*} P*(c) A_{g,c} and A^std = Σ_{C*} P*(c) A_c with P*(c) = P(c) / Σ_{C*} P.
    """
    support = counts.support[..., kept]
    hits = counts.hits[..., kept]
    of_class = support.sum(axis=-2)
    weights = divide(of_class, of_class.sum(axis=-1, keepdims=True))
    by_group = (weights[..., None, :] * divide(hits, support)).sum(axis=-1)
    overall = divide(hits.sum(axis=(-1, -2)), of_class.sum(axis=-1))
    return by_group - overall[..., None]


def _right_or_wrong(labels: Integers, predicted: Integers, groups: Groups) -> GroupCounts:
    wrong = (labels != predicted).astype(np.int64)
    zeros = np.zeros_like(wrong)
    return count_rows(zeros, wrong, groups.ids, groups=groups.names, classes=("right", "wrong"))


def _total(terms: Floats, counts: GroupCounts, compared: NDArray[np.bool_]) -> tuple[float, str | None]:
    value = float(np.abs(terms).sum())
    if not np.isnan(value):
        return value, None
    kept = counts.keep(compared)
    empty = [name for name, size in zip(kept.groups, kept.sizes, strict=True) if not size]
    return value, f"group {empty[0]!r} has no rows" if empty else "undefined on these rows"
