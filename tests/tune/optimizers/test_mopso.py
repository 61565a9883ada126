"""The swarm moves by its equations, is disturbed where it is crowded, and does not converge too early."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mindgap.core.errors import ConfigError
from mindgap.testing.made_problems import PROBLEMS, middle_of, play
from mindgap.tune.dominance import judged
from mindgap.tune.optimizer import Bounds, make_optimizer
from mindgap.tune.optimizers.mopso import Mopso, Swarm, fly

FREE = Bounds(np.full(2, -np.inf), np.full(2, np.inf))


def make(*, start=(0.0, 0.0), spread=(1.0, 1.0), bounds=FREE, population=40, seed=0, **options: Any) -> Mopso:
    optimizer = make_optimizer(
        "mopso", np.array(start), np.array(spread), bounds=bounds, population=population, seed=seed, options=options
    )
    assert isinstance(optimizer, Mopso)
    return optimizer


def test_a_particle_moves_as_computed_by_hand() -> None:
    # columns: x1, x2, w, c1, c2; particle 0 carries w = .5, c1 = 1, c2 = 2 and they move by the same equations
    swarm = Swarm(
        vectors=np.array([[1.0, 0.0, 0.5, 1.0, 2.0], [0.0, 2.0, 0.9, 2.0, 0.5]]),
        velocities=np.array([[0.1, -0.2, 0.0, 0.0, 0.2], [1.0, 0.0, 0.0, 0.0, 0.0]]),
        bests=np.array([[2.0, 0.0, 0.5, 1.5, 2.0], [0.0, 2.0, 0.9, 2.0, 0.5]]),
    )
    leaders = np.array([[3.0, -1.0, 0.7, 1.0, 1.0], [0.0, 1.0, 0.9, 2.0, 0.5]])
    first = np.array([[0.5, 0.9, 0.1, 0.4, 0.9], [0.3, 0.3, 0.3, 0.3, 0.3]])
    second = np.array([[0.25, 0.5, 0.5, 0.7, 0.2], [0.6, 0.8, 0.6, 0.6, 0.6]])
    fly(swarm, leaders, first=first, second=second, limit=np.array([10, 10, 0.1, 10, 10.0]))
    # V = w V + c1 r1 (P − X) + c2 r2 (G − X); the third of the first would be .2 and is clipped to .1
    velocities = [
        [0.05 + 1 * 0.5 * 1 + 2 * 0.25 * 2, -0.1 + 0 + 2 * 0.5 * -1, 0.1, 1 * 0.4 * 0.5, 0.1 + 2 * 0.2 * -1],
        [0.9, 0.5 * 0.8 * -1, 0, 0, 0],
    ]
    np.testing.assert_allclose(swarm.velocities, velocities, rtol=1e-12)
    np.testing.assert_allclose(swarm.vectors, [[2.55, -1.1, 0.6, 1.2, 1.7], [0.9, 1.6, 0.9, 2.0, 0.5]], rtol=1e-12)


def test_steps_are_a_fifth_of_the_first_clouds_width_at_most() -> None:
    swarm = make(spread=(1.0, 0.1), noise=0)
    before = swarm.ask()
    for _ in range(20):
        swarm.tell((before - [5, 5]) ** 2)
        after = swarm.ask()
        assert (np.abs(after - before) <= np.array([0.4, 0.04]) + 1e-12).all()
        before = after
    assert (np.abs(swarm._swarm.velocities[:, :2]).max(axis=0) > [0.3, 0.03]).all()


def test_coefficients_are_drawn_carried_and_kept_within_their_ranges() -> None:
    swarm = make()
    for _ in range(30):
        coefficients = swarm._swarm.vectors[:, -3:]
        assert ((coefficients >= [0.1, 0.5, 0.5]) & (coefficients <= [0.9, 2.5, 2.5])).all()
        swarm.tell(np.abs(swarm.ask() - [1, 2]))
    fixed = make(inertia=(0.4, 0.4), acceleration=(2.0, 2.0))
    fixed.tell(fixed.ask() ** 2)
    assert (fixed._swarm.vectors[:, -3:] == [0.4, 2, 2]).all()


def test_a_particle_at_a_bound_stops_there_in_that_dimension() -> None:
    swarm = make(start=(0.5, 0.5), spread=(0.5, 0.5), bounds=Bounds(np.zeros(2), np.full(2, np.inf)), noise=0)
    at_bound = np.zeros((40, 2), dtype=bool)
    for _ in range(5):
        swarm.tell(swarm.ask() + np.array([3, 0]))
        at_bound = swarm.ask() == 0
        assert (swarm._swarm.velocities[:, :2][at_bound] == 0).all()
    assert at_bound.any()


def test_a_personal_best_is_replaced_by_a_better_kept_against_a_worse_and_by_a_coin_if_neither() -> None:
    swarm = make(population=3_000, noise=0)
    swarm.tell(np.ones((3_000, 2)))
    bests = swarm._swarm.bests.copy()
    now = swarm._swarm.vectors.copy()
    swarm.tell(np.repeat([[0.5, 1], [1, 1.5], [0, 9]], 1_000, axis=0))
    replaced = (swarm._swarm.bests == now).all(axis=1).reshape(3, 1_000)
    kept = (swarm._swarm.bests == bests).all(axis=1).reshape(3, 1_000)
    assert replaced[0].all()
    assert kept[1].all()
    assert 450 < replaced[2].sum() < 550
    assert (replaced | kept).all()


def test_only_particles_in_dense_cells_are_disturbed() -> None:
    swarm = make(population=40)  # a cell is dense above 40 / 20 particles
    objectives = np.stack([np.linspace(0, 1, 40), np.linspace(1, 0, 40)], axis=1)
    objectives[10:20] = [0.55, 0.55]
    objectives[30] = np.nan
    swarm.tell(objectives)
    crowd = swarm._archive.cells(judged(objectives, None, population=40).objectives)
    expected = [i for i in range(40) if (crowd == crowd[i]).all(axis=1).sum() > 2]
    assert swarm._disturbed.tolist() == expected
    assert set(range(10, 20)) <= set(expected)
    assert 30 not in expected
    assert len(make(noise=0)._disturbed) == 0


def test_a_disturbed_particle_that_is_worse_stays_with_probability_one_half() -> None:
    share = {}
    for acceptance in (0.0, 0.5, 1.0):
        swarm = make(population=2_000, acceptance=acceptance)
        swarm.tell(np.ones((2_000, 2)))
        assert len(swarm._disturbed) == 2_000
        noisy, flown = swarm._swarm.vectors.copy(), swarm._flown.copy()
        swarm._put_back(np.ones(2_000, dtype=bool))
        stayed = (swarm._swarm.vectors == noisy).all(axis=1)
        assert (stayed ^ (swarm._swarm.vectors == flown).all(axis=1)).all()
        share[acceptance] = stayed.mean()
    assert share[0.0] == 0
    assert share[1.0] == 1
    assert 0.46 < share[0.5] < 0.54


def test_a_disturbed_particle_that_is_not_worse_stays() -> None:
    swarm = make(population=50, acceptance=0)
    swarm.tell(np.ones((50, 2)))
    noisy = swarm._swarm.vectors.copy()
    swarm._put_back(np.zeros(50, dtype=bool))
    np.testing.assert_array_equal(swarm._swarm.vectors, noisy)


def test_noise_changes_few_dimensions_around_a_leader_by_a_tenth_of_the_cloud() -> None:
    dimensions = 64
    swarm = make(
        start=np.zeros(dimensions),
        spread=np.full(dimensions, 2.0),
        bounds=Bounds(np.full(dimensions, -np.inf), np.full(dimensions, np.inf)),
        population=4_000,
    )
    steps = swarm._noisy(np.zeros((4_000, dimensions + 3)))[:, :-3]
    changed = (steps != 0).sum(axis=1)
    assert changed.min() == 1
    assert np.median(changed) <= 3
    assert changed.max() > 40
    np.testing.assert_allclose(steps[steps != 0].std(), 0.1 * 4.0, rtol=0.02)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"inertia": (0.9, 0.1)}, "inertia .*give the least and the most"),
        ({"acceleration": (-1, 2)}, "acceleration .*give the least and the most"),
        ({"velocity": 0}, "velocity is 0: give more than 0"),
        ({"archive": 0}, "archive is 0: give 1 or more"),
        ({"acceptance": 1.5}, "acceptance is 1.5: give 1 or less"),
        ({"speed": 3}, "unknown key 'speed'"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(options, says) -> None:
    with pytest.raises(ConfigError, match=f"optimizer mopso: {says}"):
        make(**options)


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_it_finds_98_percent_of_the_front_within_20_000_points(problem: str) -> None:
    """One seed of ten; as it is, the least of the ten is .983 on ZDT2.

    Without noise it is 0 on ZDT2 and ZDT6 and .955 on ZDT1, with noise in all dimensions 0 on ZDT2, with noise around
    the particle .937. The rivals and what else each part gives: experiments/optimizers.py.
    """
    made = PROBLEMS[problem]()
    start, spread, bounds = middle_of(made)
    swarm = make_optimizer("mopso", start, spread, bounds=bounds, population=100, seed=0)
    assert play(swarm, made, evaluations=20_000) >= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_it_finds_98_percent_of_the_front_in_each_of_ten_seeds(problem: str) -> None:
    made = PROBLEMS[problem]()
    start, spread, bounds = middle_of(made)
    found = []
    for seed in range(10):
        swarm = make_optimizer("mopso", start, spread, bounds=bounds, population=100, seed=seed)
        found.append(play(swarm, made, evaluations=20_000))
    assert min(found) >= 0.98
