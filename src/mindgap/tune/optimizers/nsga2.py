"""NSGA-II: fronts first, then the least crowded."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field, FiniteFloat

from mindgap.core.config import StrictModel
from mindgap.tune.archive import Rows
from mindgap.tune.dominance import Floats, Judged, domination, joined, judged, nondominated
from mindgap.tune.optimizer import OPTIMIZERS, AbstractOptimizer, Bounds, Front


class Nsga2Options(StrictModel):
    """Options of ``Nsga2``; the numbers are those of Deb et al. 2002.

    Attributes:
        crossover: how probably two parents are crossed.
        crossover_index: η of simulated binary crossover; the larger, the nearer children are to their parents.
        mutation_index: η of polynomial mutation; the larger, the smaller its steps, which are at most twice the spread.
        mutated: how many dimensions of a child are mutated, on average.
    """

    crossover: float = Field(default=0.9, ge=0, le=1)
    crossover_index: FiniteFloat = Field(default=15, ge=0)
    mutation_index: FiniteFloat = Field(default=20, ge=0)
    mutated: FiniteFloat = Field(default=1, ge=0)


@OPTIMIZERS.register("nsga2")
class Nsga2(AbstractOptimizer):
    """Genetic algorithm (Deb et al. 2002): simulated binary crossover, polynomial mutation, crowding distance."""

    options_model: ClassVar[type[StrictModel]] = Nsga2Options
    options: Nsga2Options

    def __init__(
        self, start: Floats, spread: Floats, *, bounds: Bounds, population: int, seed: int, options: Any
    ) -> None:
        super().__init__(start, spread, bounds=bounds, population=population, seed=seed, options=options)
        self._generator = np.random.default_rng(seed)
        self._points = self.scattered(self._generator)
        self._parents: Floats = self._points[:0]
        self._judged: Judged | None = None

    def ask(self) -> Floats:
        """Points to judge, float64 (population, D)."""
        return self._points.copy()

    def tell(self, objectives: Floats, violations: Floats | None = None) -> None:
        """Takes their judgement, and breeds the next."""
        found = judged(objectives, violations, population=self.population)
        pool = found if self._judged is None else joined(self._judged, found)
        order = best_first(pool)[: self.population]
        self._parents, self._judged = np.concatenate([self._parents, self._points])[order], pool[order]
        self._points = self._children()

    @property
    def front(self) -> Front:
        """Those of the parents that none dominates."""
        if self._judged is None:
            return Front(self._parents.copy(), np.zeros((0, 0)))
        rows = nondominated(self._judged)
        return Front(self._parents[rows], self._judged.objectives[rows])

    def _children(self) -> Floats:
        pairs = -(-self.population // 2)
        drawn = self._generator.integers(self.population, size=(2, pairs, 2))
        first, second = self._parents[drawn.min(axis=2)]  # they lie best first: the less wins its tournament
        half = self._half_distances(first.shape) * (first - second)
        middle = (first + second) / 2
        children = np.concatenate([middle + half, middle - half])[: self.population]
        children += self._mutations(children.shape)
        return self.bounded(children)

    def _half_distances(self, shape: tuple[int, ...]) -> Floats:
        """β / 2 of Deb & Agrawal 1995; ± ½ leaves the parents as they are, or swaps their numbers."""
        draw = self._generator.random(shape)
        power = 1 / (self.options.crossover_index + 1)
        beta = np.where(draw <= 0.5, (2 * draw) ** power, (2 * (1 - draw)) ** -power)
        crossed = (self._generator.random(shape) < 0.5) & (
            self._generator.random((shape[0], 1)) < self.options.crossover
        )
        swapped = np.where(self._generator.random(shape) < 0.5, -0.5, 0.5)
        return np.where(crossed, beta * swapped, 0.5)

    def _mutations(self, shape: tuple[int, ...]) -> Floats:
        draw = self._generator.random(shape)
        power = 1 / (self.options.mutation_index + 1)
        steps = np.where(draw < 0.5, (2 * draw) ** power - 1, 1 - (2 * (1 - draw)) ** power)
        steps *= self._generator.random(shape) * shape[1] < self.options.mutated
        steps *= 2 * self.spread
        return steps


def best_first(points: Judged) -> Rows:
    """Order of the points, intp (N,): by the front they are on, then the least crowded first."""
    rank = ranks(points)
    return np.lexsort((-crowding_distances(points.objectives, rank), rank))


def ranks(points: Judged) -> Rows:
    """0 for the points no other dominates, 1 for those that only these do, and so on, intp (N,)."""
    better = domination(points)
    left = better.sum(axis=0)
    rank = np.full(len(points), -1, dtype=np.intp)
    front = 0
    while (rank < 0).any():
        found = (left == 0) & (rank < 0)
        rank[found] = front
        left = left - better[found].sum(axis=0)
        front += 1
    return rank


def crowding_distances(objectives: Floats, rank: Rows) -> Floats:
    """How far the neighbours on the same front lie apart, summed over the objectives, float64 (N,).

    Each objective counts in units of its range on the front; the ends of a front have ∞ (Deb et al. 2002, §III-B).
    """
    distances = np.zeros(len(objectives))
    for values in np.where(np.isfinite(objectives), objectives, 0.0).T:
        order = np.lexsort((values, rank))
        ordered, starts = values[order], np.searchsorted(rank[order], np.arange(rank.max() + 1))
        ends = np.append(starts[1:], len(order)) - 1
        width = (ordered[ends] - ordered[starts])[rank[order]]
        gaps = np.zeros(len(order))
        gaps[1:-1] = ordered[2:] - ordered[:-2]
        share = np.divide(gaps, width, out=np.zeros(len(order)), where=width > 0)
        share[starts], share[ends] = np.inf, np.inf
        distances[order] += share
    return distances
