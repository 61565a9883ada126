"""Which point of a front is used, and the rows that the choice is made on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import ConfigError, DataError
from mindgap.core.groups import Groups
from mindgap.data.split import cluster_folds
from mindgap.metrics.counts import Floats

TOLERANCE = 0.05
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Choice:
    """A point of a front.

    Attributes:
        index: its number.
        reason: why it is the one, in words.
    """

    index: int
    reason: str


def choose_by_rule(accuracy: Floats, gap: Floats, *, trained_accuracy: float, tolerance: float = TOLERANCE) -> Choice:
    """The point with the smallest gap among those within a few points of the trained head's accuracy.

    Of a tie in the gap it is the more accurate, then the first. Where none is within the tolerance, as may be on rows
    that the front was not made on, it is the most accurate, of a tie the one with the smaller gap.

    Args:
        accuracy: float64 (K,) in 0..1, of the rows that the choice is made on.
        gap: float64 (K,), UEI or another that is smaller if better; a point where it is NaN is not chosen.
        trained_accuracy: of the trained head on the same rows.
        tolerance: how much accuracy may be lost, as a fraction.

    Raises:
        DataError: no point has both figures.

    Example:
        Accuracies .90, .86, .84 with UEI .20, .10, .05 and a trained head of .90: the second, as .84 is too far.
    """
    known = ~(np.isnan(accuracy) | np.isnan(gap))
    if not known.any():
        raise DataError("no point of the front has both accuracy and gap; tune on rows where every group has the label")
    near = known & (accuracy >= trained_accuracy - tolerance - _ROUNDING)
    if near.any():
        index = _first(near, gap, -accuracy)
        return Choice(index, f"best gap within {100 * tolerance:g} points of the trained head's accuracy")
    index = _first(known, -accuracy, gap)
    return Choice(
        index, f"no point within {100 * tolerance:g} points of the trained head's accuracy: the most accurate"
    )


def pick(index: int, *, size: int) -> Choice:
    """The point that the user named.

    Raises:
        ConfigError: the front has no such point.
    """
    if not 0 <= index < size:
        raise ConfigError(f"pick={index}: the front has the points 0 to {size - 1}; name one of them")
    return Choice(index, "picked")


def split_half(
    labels: NDArray[np.int64] | NDArray[np.uint8], groups: Groups, *, clusters: NDArray[np.int64], seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two halves of validation rows, for tuning and for the choice, no cluster in both and stratified alike.

    A front is the best of thousands of heads on its rows, so its figures there are too good; on the other half they are
    those of heads that the rows had no part in.

    Args:
        labels: int64 (n,) or uint8 (n, L), of the validation rows.
        groups: of the same rows.
        clusters: int64 (n,).
        seed: of the halves.

    Returns:
        Positions among the n rows, int64, rising: of the half to tune on, and of the half to choose on.

    Raises:
        ConfigError: there are fewer than two clusters.
    """
    folds = cluster_folds(labels, groups, clusters=clusters, k=2, seed=seed)
    return np.flatnonzero(folds == 0), np.flatnonzero(folds == 1)


def _first(allowed: NDArray[np.bool_], first: Floats, second: Floats) -> int:
    """The smallest by one figure, then by another, then by place, of those allowed."""
    places = np.flatnonzero(allowed)
    return int(places[np.lexsort((second[places], first[places]))[0]])
