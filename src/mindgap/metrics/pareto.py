"""Pareto dominance between points with several objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mindgap.core.errors import ShapeError

_BLOCK = 512


def non_dominated(points: ArrayLike, maximize: Sequence[bool]) -> NDArray[np.bool_]:
    """Which points no other point dominates: none is as good in every objective and better in one.

    Equal points stand or fall together. A point with a NaN dominates nothing and is never on the front.

    Args:
        points: (n, k) objectives.
        maximize: for each objective, whether larger is better.

    Returns:
        Bool (n,).

    Raises:
        ShapeError: there is not one direction per objective.

    Example:
        (accuracy, gap) of (.9, .3), (.8, .1), (.8, .2) with maximize (True, False) give True, True, False.
    """
    costs = _as_costs(points, maximize)
    known = np.flatnonzero(~np.isnan(costs).any(axis=1))
    front = np.zeros(len(costs), dtype=np.bool_)
    front[known] = ~_dominated(costs[known])
    return front


def non_dominated_rank(points: ArrayLike, maximize: Sequence[bool]) -> NDArray[np.int64]:
    """Rank of each point, int64 (n,): 0 on the front, 1 on the front of the rest, and so on; -1 with a NaN.

    Args:
        points: (n, k) objectives.
        maximize: for each objective, whether larger is better.

    Raises:
        ShapeError: there is not one direction per objective.
    """
    costs = _as_costs(points, maximize)
    ranks = np.full(len(costs), -1, dtype=np.int64)
    left = np.flatnonzero(~np.isnan(costs).any(axis=1))
    rank = 0
    while left.size:
        on_front = ~_dominated(costs[left])
        ranks[left[on_front]] = rank
        left = left[~on_front]
        rank += 1
    return ranks


def _as_costs(points: ArrayLike, maximize: Sequence[bool]) -> NDArray[np.float64]:
    costs = np.asarray(points, dtype=np.float64)
    if costs.ndim != 2 or costs.shape[1] != len(maximize):
        raise ShapeError(f"points must be (n, {len(maximize)}), one column per objective, got shape {costs.shape}")
    return np.where(np.asarray(maximize, dtype=np.bool_), -costs, costs)


def _dominated(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    found = np.zeros(len(costs), dtype=np.bool_)
    for start in range(0, len(costs), _BLOCK):
        block = costs[start : start + _BLOCK, None]
        as_good = np.all(costs <= block, axis=-1)
        better = np.any(costs < block, axis=-1)
        found[start : start + _BLOCK] = np.any(as_good & better, axis=1)
    return found
