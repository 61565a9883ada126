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
    while left.size > _BLOCK:
        on_front = ~_dominated(costs[left])
        ranks[left[on_front]] = rank
        left = left[~on_front]
        rank += 1
    ranks[left] = rank + _ranks_of_few(costs[left])
    return ranks


def _ranks_of_few(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Counts once who is dominated by how many, and takes fronts away from that."""
    dominates = _dominates(costs[:, None], costs)
    above = dominates.sum(axis=0)
    ranks = np.full(len(costs), -1, dtype=np.int64)
    rank = 0
    while (front := (above == 0) & (ranks < 0)).any():
        ranks[front] = rank
        above -= dominates[front].sum(axis=0)
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
        found[start : start + _BLOCK] = np.any(_dominates(costs, costs[start : start + _BLOCK, None]), axis=1)
    return found


def _dominates(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether points dominate others, the axes before the objectives broadcast."""
    return np.all(one <= other, axis=-1) & np.any(one < other, axis=-1)
