"""Problems with two objectives whose best front is known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.hypervolume import hypervolume
from mindgap.tune.optimizer import AbstractOptimizer, Bounds

Floats = NDArray[np.float64]
REFERENCE = (1.1, 1.1)


class MadeProblem(ABC):
    """Two objectives to be minimised over a box.

    Attributes:
        low: float64 (D,), least values.
        high: float64 (D,), largest values.
        ideal: float64 (2,), the best of each objective on the front; with ``nadir`` the scale on which it is measured.
        nadir: float64 (2,), the worst of each objective on the front.
    """

    low: Floats
    high: Floats
    ideal: ClassVar[tuple[float, float]] = (0.0, 0.0)
    nadir: ClassVar[tuple[float, float]] = (1.0, 1.0)

    @abstractmethod
    def judge(self, points: Floats) -> tuple[Floats, Floats]:
        """Objectives, float64 (N, 2), and violations, float64 (N,), of points, float64 (N, D)."""

    @abstractmethod
    def front(self) -> Floats:
        """Finely spaced objectives of the best front, float64 (K, 2)."""

    def hypervolume(self, objectives: Floats) -> float:
        """What objectives, float64 (N, 2), dominate up to 1.1 of the nadir, as a share of what the best front does."""
        return self._measure(objectives) / self._measure(self.front())

    def _measure(self, objectives: Floats) -> float:
        ideal, nadir = np.asarray(self.ideal), np.asarray(self.nadir)
        return hypervolume((objectives - ideal) / (nadir - ideal), REFERENCE, maximize=(False, False))


class Zdt(MadeProblem):
    """Zitzler, Deb & Thiele 2000: f1 of x1, f2 = g(x2, …)·h(f1, g); the front is at g = 1, where x2, … are 0."""

    def __init__(self, dimensions: int = 30) -> None:
        self.low, self.high = np.zeros(dimensions), np.ones(dimensions)

    def judge(self, points: Floats) -> tuple[Floats, Floats]:
        first, growth = self.first(points[:, 0]), self.growth(points[:, 1:].mean(axis=1))
        return np.stack([first, growth * self.shape(first, growth)], axis=1), np.zeros(len(points))

    def front(self) -> Floats:
        first = np.sort(self.first(np.linspace(0, 1, 20_001)))
        return np.stack([first, self.shape(first, np.ones_like(first))], axis=1)

    def first(self, x: Floats) -> Floats:
        """The first objective."""
        return x

    def growth(self, mean: Floats) -> Floats:
        """By how much the second objective misses the front, at least 1."""
        return 1 + 9 * mean

    @abstractmethod
    def shape(self, first: Floats, growth: Floats) -> Floats:
        """The second objective as a share of ``growth``."""


class Zdt1(Zdt):
    """A convex front, f2 = 1 − √f1."""

    def shape(self, first: Floats, growth: Floats) -> Floats:
        return 1 - np.sqrt(first / growth)


class Zdt2(Zdt):
    """A concave front, f2 = 1 − f1², on which a swarm may collapse into the end at f1 = 0."""

    def shape(self, first: Floats, growth: Floats) -> Floats:
        return 1 - (first / growth) ** 2


class Zdt6(Zdt2):
    """A concave front whose points lie unevenly and ever thinner towards it."""

    def __init__(self, dimensions: int = 10) -> None:
        super().__init__(dimensions)

    def first(self, x: Floats) -> Floats:
        return 1 - np.exp(-4 * x) * np.sin(6 * np.pi * x) ** 6

    def growth(self, mean: Floats) -> Floats:
        return 1 + 9 * mean**0.25


class Bnh(MadeProblem):
    """Binh & Korn 1997: two variables, two constraints; the front is x1 = x2 ≤ 3, then x2 = 3 and x1 up to 5."""

    ideal = (0.0, 4.0)
    nadir = (136.0, 50.0)

    def __init__(self) -> None:
        self.low, self.high = np.zeros(2), np.array([5.0, 3.0])

    def judge(self, points: Floats) -> tuple[Floats, Floats]:
        x, y = points.T
        objectives = np.stack([4 * x**2 + 4 * y**2, (x - 5) ** 2 + (y - 5) ** 2], axis=1)
        within, beyond = (x - 5) ** 2 + y**2 - 25, 7.7 - (x - 8) ** 2 - (y + 3) ** 2
        return objectives, np.maximum(within, 0) / 25 + np.maximum(beyond, 0) / 7.7

    def front(self) -> Floats:
        x = np.linspace(0, 5, 20_001)
        return self.judge(np.stack([x, np.minimum(x, 3)], axis=1))[0]


def play(optimizer: AbstractOptimizer, problem: MadeProblem, *, evaluations: int) -> float:
    """The share of the best front's hypervolume that an optimiser finds with so many points judged."""
    for _ in range(evaluations // optimizer.population):
        optimizer.tell(*problem.judge(optimizer.ask()))
    return problem.hypervolume(optimizer.front.objectives)


def middle_of(problem: MadeProblem) -> tuple[Floats, Floats, Bounds]:
    """Start, spread and bounds with which the first points cover the problem's box."""
    return (problem.low + problem.high) / 2, (problem.high - problem.low) / 2, Bounds(problem.low, problem.high)


PROBLEMS: dict[str, type[MadeProblem]] = {"zdt1": Zdt1, "zdt2": Zdt2, "zdt6": Zdt6, "bnh": Bnh}
