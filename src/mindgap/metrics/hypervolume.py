"""Hypervolume: how much of the objectives' space a set of points leaves behind it, down to a reference point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mindgap.core.errors import ShapeError

Floats = NDArray[np.float64]


def hypervolume(points: ArrayLike, reference: Sequence[float], *, maximize: Sequence[bool]) -> float:
    """Measure of the union of the boxes between each point and the reference point; exact, for 2 or 3 objectives.

    Zitzler & Thiele 1998. It grows with every point that no other dominates, and with nothing else; its unit is the
    product of the objectives' units. A point that is not better than the reference in every objective adds nothing, nor
    does one with a NaN. Two values are comparable for the same reference only.

    Args:
        points: (n, k) objectives, k = 2 or 3; n may be 0.
        reference: (k,) the point that is worst in all of them.
        maximize: for each objective, whether larger is better.

    Raises:
        ShapeError: the numbers of objectives do not fit, or the reference point is not finite.

    Example:
        (accuracy, gap) of (.9, .3) and (.8, .1), reference (.5, .5): boxes of .4·.2 and .3·.4 that share .3·.2.
        >>> round(hypervolume([(0.9, 0.3), (0.8, 0.1)], (0.5, 0.5), maximize=(True, False)), 6)
        0.14
    """
    costs, limit = _inside(*_as_costs(points, reference, maximize))
    return _measure(costs, limit)


def hypervolume_over_time(points: ArrayLike, reference: Sequence[float], *, maximize: Sequence[bool]) -> Floats:
    """Hypervolume of the first 1, 2, …, n points, float64 (n,); it never falls.

    Args:
        points: (n, k) objectives in the order in which they became known; a NaN row is one that found nothing.
        reference: (k,) the point that is worst in all of them.
        maximize: for each objective, whether larger is better.

    Raises:
        ShapeError: as ``hypervolume``.
    """
    costs, limit = _as_costs(points, reference, maximize)
    values = np.zeros(len(costs))
    front = costs[:0]
    reached = 0.0
    for i, point in enumerate(costs):
        if bool(np.all(point < limit)) and not _covered(point, front):
            front = _with_point(front, point)
            reached = _measure(front, limit)
        values[i] = reached
    return values


def _as_costs(points: ArrayLike, reference: Sequence[float], maximize: Sequence[bool]) -> tuple[Floats, Floats]:
    limit = np.asarray(reference, dtype=np.float64)
    costs = np.asarray(points, dtype=np.float64)
    costs = costs.reshape(0, len(limit)) if costs.size == 0 else costs
    if len(limit) not in {2, 3} or len(maximize) != len(limit) or costs.ndim != 2 or costs.shape[1] != len(limit):
        raise ShapeError(
            f"hypervolume takes (n, 2) or (n, 3) points, one reference and one direction per objective; got points of "
            f"shape {costs.shape}, {len(limit)} references and {len(maximize)} directions"
        )
    if not np.isfinite(limit).all():
        raise ShapeError(f"the reference point must be finite, got {limit.tolist()}; give a bound for every objective")
    sign = np.where(np.asarray(maximize, dtype=np.bool_), -1.0, 1.0)
    return costs * sign, limit * sign


def _inside(costs: Floats, limit: Floats) -> tuple[Floats, Floats]:
    return costs[np.all(costs < limit, axis=1)], limit


def _measure(costs: Floats, limit: Floats) -> float:
    return _area(costs, limit) if len(limit) == 2 else _volume(costs, limit)


def _area(costs: Floats, limit: Floats) -> float:
    """Under a staircase: from each point to the next the best second objective so far counts."""
    order = np.lexsort((costs[:, 1], costs[:, 0]))
    first, second = costs[order].T
    widths = np.diff(first, append=limit[0])
    return float(np.sum(widths * (limit[1] - np.minimum.accumulate(second))))


def _volume(costs: Floats, limit: Floats) -> float:
    """Slices along the third objective; the area of a slice is that of all points at or below it."""
    slices = costs[np.argsort(costs[:, 2], kind="stable")]
    heights = np.diff(slices[:, 2], append=limit[2])
    front, area, total = slices[:0, :2], 0.0, 0.0
    for point, height in zip(slices[:, :2], heights, strict=True):
        if not _covered(point, front):
            front = _with_point(front, point)
            area = _area(front, limit[:2])
        total += area * float(height)
    return total


def _covered(point: Floats, front: Floats) -> bool:
    return bool(np.any(np.all(front <= point, axis=1)))


def _with_point(front: Floats, point: Floats) -> Floats:
    return np.vstack([front[~np.all(front >= point, axis=1)], point])
