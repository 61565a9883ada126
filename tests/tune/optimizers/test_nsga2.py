"""NSGA-II: ranks and crowding against pymoo, children against what the operators promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mindgap.testing.made_problems import PROBLEMS, middle_of, play
from mindgap.tune.dominance import judged
from mindgap.tune.optimizer import Bounds, make_optimizer
from mindgap.tune.optimizers.nsga2 import Nsga2, best_first, crowding_distances, ranks


def make(*, dimensions: int = 5, population: int = 2_000, spread: float = 1.0, **options: float) -> Nsga2:
    free = Bounds(np.full(dimensions, -np.inf), np.full(dimensions, np.inf))
    optimizer = make_optimizer(
        "nsga2",
        np.zeros(dimensions),
        np.full(dimensions, spread),
        bounds=free,
        population=population,
        seed=0,
        options=options,
    )
    assert isinstance(optimizer, Nsga2)
    return optimizer


def test_ranks_and_order_by_hand() -> None:
    objectives = np.array([[0, 3], [1, 1], [3, 0], [1, 2], [2, 2], [np.nan, 0], [0, 0]], dtype=float)
    told = judged(objectives, np.array([0, 0, 0, 0, 0, 0, 1]), population=7)
    assert ranks(told).tolist() == [0, 0, 0, 1, 2, 4, 3]
    # of the first front (1, 1) has (3 − 0)/3 + (3 − 0)/3 = 2, the ends have ∞
    assert crowding_distances(told.objectives, ranks(told))[:3].tolist() == [np.inf, 2, np.inf]
    assert best_first(told).tolist() == [0, 2, 1, 3, 4, 6, 5]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(arrays(np.float64, (12, 2), elements=st.floats(0, 1), unique=True))
def test_ranks_and_crowding_equal_pymoos(objectives: np.ndarray) -> None:
    sorting = pytest.importorskip("pymoo.util.nds.non_dominated_sorting")
    diversity = pytest.importorskip("pymoo.operators.survival.rank_and_crowding.metrics")
    rank = ranks(judged(objectives, None, population=12))
    _, expected = sorting.NonDominatedSorting().do(objectives, return_rank=True)
    np.testing.assert_array_equal(rank, expected)
    crowding = crowding_distances(objectives, rank)
    for front in range(rank.max() + 1):
        theirs = diversity.calc_crowding_distance(objectives[rank == front])
        ours = crowding[rank == front]
        inner = np.isfinite(ours)
        if len(ours) > 2:
            np.testing.assert_allclose(ours[inner], theirs[inner] * 2, rtol=1e-9)  # pymoo divides by the objectives


def test_crossover_keeps_the_parents_middle_and_mutation_off_leaves_it_alone() -> None:
    # children lie symmetrically around the middle of their parents, so the sum over both is that of the parents
    nsga = make(mutated=0, population=200)
    nsga.tell(nsga.ask()[:, :2] ** 2)
    first, second = nsga.ask().reshape(2, -1, 5)
    middles = {tuple(row) for row in np.round(first + second, 9)}
    parents = nsga._parents
    found = {tuple(row) for row in np.round((parents[:, None] + parents[None]).reshape(-1, 5), 9)}
    assert middles <= found
    assert not np.isin(first, parents).all()
    copies = make(mutated=0, crossover=0, population=200)
    copies.tell(copies.ask()[:, :2] ** 2)
    known = {tuple(row) for row in np.round(copies._parents, 9)}
    assert {tuple(row) for row in np.round(copies.ask(), 9)} <= known


def test_better_parents_have_more_children() -> None:
    nsga = make(mutated=0, crossover=0, dimensions=1)
    points = nsga.ask()
    nsga.tell(points)  # one objective: the smaller the better
    assert np.median(nsga.ask()) < np.quantile(points, 0.35)  # the better of two: the median is at 1 − √½ = .29


def test_mutation_moves_one_dimension_in_the_mean_by_twice_the_spread_at_most() -> None:
    nsga = make(spread=0.5, dimensions=20)
    steps = nsga._mutations((4_000, 20))
    assert 0.9 < (steps != 0).sum(axis=1).mean() < 1.1
    assert np.abs(steps).max() <= 1
    # E|δ| of a polynomial mutation is 1 / (η + 2)
    np.testing.assert_allclose(np.abs(steps[steps != 0]).mean(), 1 / 22, rtol=0.05)


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_it_finds_98_percent_of_the_front_within_20_000_points(problem: str) -> None:
    made = PROBLEMS[problem]()
    start, spread, bounds = middle_of(made)
    nsga = make_optimizer("nsga2", start, spread, bounds=bounds, population=100, seed=0)
    assert play(nsga, made, evaluations=20_000) >= 0.98
