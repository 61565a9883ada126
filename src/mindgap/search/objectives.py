"""What searchers that look at several figures at once make of an outcome: accuracy, U and multiply-accumulates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.pareto import non_dominated_rank
from mindgap.search.searcher import Outcome

MAXIMIZE = (True, False, False)
WORST = (0.0, 1.0, 0.0)
"""Stands for figures that are not there; such a candidate is judged by its violation alone."""


def figures(outcome: Outcome) -> tuple[float, float, float]:
    """Accuracy, U and multiply-accumulates; ``WORST`` if one of them is not known."""
    if outcome.accuracy is None or outcome.unfairness is None or outcome.macs is None:
        return WORST
    return outcome.accuracy, outcome.unfairness, float(outcome.macs)


def violation(outcome: Outcome) -> float:
    """How far a candidate is from being feasible: 0 if it is, 1 − accuracy below the accuracy floor, else 2.

    Without it the front would hold tiny networks that name the commonest class for everyone: their U is 0.
    """
    if outcome.accuracy is None or outcome.unfairness is None or outcome.macs is None:
        return 2.0
    return 0.0 if outcome.feasible else 1.0 - outcome.accuracy


def front_ranks(outcomes: Sequence[Outcome]) -> NDArray[np.int64]:
    """Rank of each outcome, int64 (n,): feasible ones by non-dominated rank, then the others by their violation."""
    broken = np.array([violation(outcome) for outcome in outcomes])
    ranks = np.zeros(len(outcomes), dtype=np.int64)
    feasible = broken == 0
    if feasible.any():
        points = np.array([figures(outcome) for outcome in outcomes])
        ranks[feasible] = non_dominated_rank(points[feasible], MAXIMIZE)
    levels, place = np.unique(broken[~feasible], return_inverse=True)
    if len(levels):
        ranks[~feasible] = ranks[feasible].max(initial=-1) + 1 + place
    return ranks
