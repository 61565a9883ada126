"""Conformance kit for multi-objective optimisers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from mindgap.core.errors import ShapeError
from mindgap.tune.dominance import domination, judged
from mindgap.tune.optimizer import OPTIMIZERS, AbstractOptimizer, Bounds, Front, make_optimizer

Floats = NDArray[np.float64]
Judge = Callable[[Floats], tuple[Floats, Floats | None]]

START = np.array([0.2, -0.5, 0.0, 3.0])
SPREAD = np.array([0.5, 1.0, 0.0, 0.25])
BOUNDS = Bounds(np.array([0.0, -np.inf, -1.0, -np.inf]), np.array([1.0, np.inf, 1.0, 3.0]))


def fresh(name: str, *, dimensions: int = 4, seed: int = 0) -> AbstractOptimizer:
    """An optimiser with 30 points an ask, bounded on either side, one or none, and fixed in its third dimension."""
    some = slice(dimensions)
    bounds = Bounds(BOUNDS.low[some], BOUNDS.high[some])
    return make_optimizer(name, START[some], SPREAD[some], bounds=bounds, population=30, seed=seed)


def play(optimizer: AbstractOptimizer, judge: Judge, *, rounds: int = 15) -> tuple[Floats, Floats]:
    """All points that were asked for, (rounds · population, D), and what was told of them, (…, M)."""
    points, objectives = [], []
    for _ in range(rounds):
        points.append(optimizer.ask())
        told = judge(points[-1])
        objectives.append(told[0])
        optimizer.tell(*told)
    return np.concatenate(points), np.concatenate(objectives)


def two_ends(points: Floats) -> tuple[Floats, None]:
    """Distances to two places, which no point is near both of."""
    return np.stack([(points**2).sum(axis=1), ((points - 1) ** 2).sum(axis=1)], axis=1), None


def three_ends(points: Floats) -> tuple[Floats, None]:
    """Two ends, and far from both."""
    return np.column_stack([two_ends(points)[0], -np.abs(points[:, 0])]), None


def gaps(points: Floats) -> tuple[Floats, None]:
    """Two ends; every other point cannot be judged, though one of its objectives looks best of all."""
    objectives = two_ends(points)[0]
    objectives[::2] = [np.nan, -9]
    return objectives, None


class OptimizerConformance:
    """The contract of an optimiser; inherit it and give a fixture ``name``."""

    CAPACITY = 100

    def test_says_in_one_line_what_it_is(self, name: str) -> None:
        assert OPTIMIZERS.describe()[name].endswith(".")

    def test_asks_for_the_start_first_and_for_different_points(self, name: str) -> None:
        points = fresh(name).ask()
        assert points.shape == (30, 4)
        assert points.dtype == np.float64
        np.testing.assert_array_equal(points[0], START)
        assert len(np.unique(points, axis=0)) == 30

    def test_asks_for_the_same_until_it_is_told_and_lends_no_memory(self, name: str) -> None:
        optimizer = fresh(name)
        first = optimizer.ask()
        kept = first.copy()
        first[:] = np.nan
        np.testing.assert_array_equal(optimizer.ask(), kept)
        optimizer.tell(*two_ends(kept))
        assert not np.array_equal(optimizer.ask(), kept)

    def test_keeps_to_the_bounds_and_to_the_start_where_there_is_no_spread(self, name: str) -> None:
        points, _ = play(fresh(name), two_ends)
        assert (points >= BOUNDS.low).all()
        assert (points <= BOUNDS.high).all()
        assert (points[:, 2] == START[2]).all()
        assert (points[:, [0, 1, 3]].std(axis=0) > 0).all()

    @pytest.mark.parametrize("judge", [two_ends, three_ends])
    def test_the_front_holds_points_that_were_told_and_none_that_is_dominated(self, name: str, judge: Judge) -> None:
        optimizer = fresh(name)
        points, objectives = play(optimizer, judge)
        assert 1 <= len(optimizer.front.objectives) <= self.CAPACITY
        self.check_front(optimizer.front, points, objectives)

    def test_what_cannot_be_judged_is_never_on_the_front(self, name: str) -> None:
        optimizer = fresh(name)
        points, objectives = play(optimizer, gaps)
        assert np.isfinite(optimizer.front.objectives).all()
        self.check_front(optimizer.front, points, objectives)

    def test_goes_on_when_nothing_could_be_judged(self, name: str) -> None:
        optimizer = fresh(name)
        play(optimizer, lambda points: (np.full((len(points), 2), np.nan), None), rounds=3)
        assert len(optimizer.front.objectives) == len(optimizer.front.positions) == 0
        points, objectives = play(optimizer, two_ends, rounds=2)
        assert len(optimizer.front.objectives) > 0
        self.check_front(optimizer.front, points, objectives)

    def test_the_same_seed_asks_the_same_and_another_asks_otherwise(self, name: str) -> None:
        first, again, other = (play(fresh(name, seed=seed), two_ends, rounds=4)[0] for seed in (3, 3, 4))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first[1:30], other[1:30])

    def test_what_misses_a_constraint_less_is_better_whatever_its_objectives(self, name: str) -> None:
        optimizer = fresh(name)
        points = optimizer.ask()
        objectives = np.tile([[1.0, 1.0]], (30, 1))
        objectives[3], objectives[5] = [-8, -8], [7, 7]
        violations = np.full(30, 2.0)
        violations[3], violations[5] = 3.0, 0.5
        optimizer.tell(objectives, violations)
        np.testing.assert_array_equal(optimizer.front.objectives, [[7, 7]])
        np.testing.assert_array_equal(optimizer.front.positions, points[[5]])

    def test_works_in_one_dimension_and_with_one_objective(self, name: str) -> None:
        optimizer = fresh(name, dimensions=1)
        points, objectives = play(optimizer, lambda points: ((points - 0.7) ** 2, None))
        assert points.shape[1] == 1
        np.testing.assert_array_equal(optimizer.front.objectives, [[objectives.min()]])
        assert objectives.min() < 1e-3

    def test_works_where_all_points_are_equally_good(self, name: str) -> None:
        optimizer = fresh(name)
        points, objectives = play(optimizer, lambda points: (np.ones((len(points), 2)), np.ones(len(points))))
        np.testing.assert_array_equal(optimizer.front.objectives, [[1, 1]])
        self.check_front(optimizer.front, points, objectives)

    def test_refuses_to_be_told_of_fewer_points_than_it_asked_for(self, name: str) -> None:
        optimizer = fresh(name)
        with pytest.raises(ShapeError, match=r"asked for 30 points .* got \(29, 2\)"):
            optimizer.tell(np.zeros((29, 2)))
        with pytest.raises(ShapeError, match=r"got \(30, 2\) and \(29,\)"):
            optimizer.tell(np.zeros((30, 2)), np.zeros(29))

    def check_front(self, front: Front, points: Floats, objectives: Floats) -> None:
        """Asserts that every row is one that was told, and that none dominates another."""
        told = np.column_stack([points, objectives])
        held = np.column_stack([front.positions, front.objectives])
        assert (held[:, None] == told[None]).all(axis=2).any(axis=1).all()
        assert not domination(judged(front.objectives, None, population=len(front.objectives))).any()
