"""Pareto dominance among points with several objectives and a violation of their constraints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import ShapeError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Judged:
    """The judgement of some points.

    Attributes:
        objectives: float64 (N, M), smaller is better; ∞ in the rows of points that are no candidates.
        violations: float64 (N,), 0 where the constraints hold; ∞ for points that are no candidates.
    """

    objectives: Floats
    violations: Floats

    @property
    def candidates(self) -> Flags:
        """Which points may be kept at all, bool (N,)."""
        return np.isfinite(self.violations)

    def __getitem__(self, rows: NDArray[np.intp] | Flags | slice) -> Judged:
        return Judged(self.objectives[rows], self.violations[rows])

    def __len__(self) -> int:
        return len(self.objectives)


def judged(objectives: Floats, violations: Floats | None, *, population: int) -> Judged:
    """What was told, with every row that is not finite made the worst of all.

    Raises:
        ShapeError: the arrays do not have one row per point, or there are no objectives.
    """
    found = np.array(objectives, dtype=np.float64)
    missed = np.zeros(population) if violations is None else np.array(violations, dtype=np.float64)
    if found.ndim != 2 or len(found) != population or found.shape[1] == 0 or missed.shape != (population,):
        raise ShapeError(
            f"an optimizer that asked for {population} points takes ({population}, M) objectives and ({population},) "
            f"violations; got {found.shape} and {missed.shape}; tell of every point that was asked for, in its order"
        )
    missed = np.maximum(missed, 0.0)  # a NaN stays one
    unknown = ~(np.isfinite(found).all(axis=1) & np.isfinite(missed))
    found[unknown], missed[unknown] = np.inf, np.inf
    return Judged(found, missed)


def joined(first: Judged, second: Judged) -> Judged:
    """The points of both, those of the first before the others."""
    return Judged(
        np.concatenate([first.objectives, second.objectives]), np.concatenate([first.violations, second.violations])
    )


def dominates(first: Judged, second: Judged) -> Flags:
    """Row by row, whether the first is better: it violates less, or as much and dominates, bool (N,).

    x dominates y if it is no worse in any objective and better in one. Deb 2000 puts feasibility before objectives.
    """
    no_worse = (first.objectives <= second.objectives).all(axis=1)
    better = (first.objectives < second.objectives).any(axis=1)
    equally = first.violations == second.violations
    return (first.violations < second.violations) | (equally & no_worse & better)


def domination(points: Judged) -> Flags:
    """Which point is better than which, bool (N, N): row i, column j is whether i dominates j."""
    first, second = points.violations[:, None], points.violations[None, :]
    no_worse = np.ones((len(points), len(points)), dtype=np.bool_)
    for objective in points.objectives.T:
        no_worse &= objective[:, None] <= objective[None, :]
    # where i is no worse than j and j no worse than i they are equal, so neither dominates
    return (first < second) | ((first == second) & no_worse & ~no_worse.T)


def nondominated(points: Judged) -> Flags:
    """Which candidates no other dominates, bool (N,); of several with the same objectives the first alone."""
    kept = points.candidates & ~domination(points).any(axis=0)
    rows = np.flatnonzero(kept)
    _, first = np.unique(points.objectives[rows], axis=0, return_index=True)
    alone = np.zeros(len(points), dtype=np.bool_)
    alone[rows[first]] = True
    return alone
