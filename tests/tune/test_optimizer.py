"""Every registered optimiser keeps the contract."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.core.errors import ConfigError, ShapeError, UnknownNameError
from mindgap.testing import OptimizerConformance
from mindgap.tune.optimizer import OPTIMIZERS, AbstractOptimizer, Bounds, make_optimizer

FREE = Bounds(np.full(3, -np.inf), np.full(3, np.inf))


def make(name="random", *, start=(0.0, 0, 0), spread=(1.0, 1, 1), bounds=FREE, population=4, **options):
    return make_optimizer(
        name, np.array(start), np.array(spread), bounds=bounds, population=population, seed=0, options=options
    )


@pytest.mark.parametrize("name", OPTIMIZERS.names())
class TestEveryOptimizer(OptimizerConformance):
    pass


def test_the_swarm_its_rival_and_chance_are_there() -> None:
    assert {"mopso", "nsga2", "random"} <= set(OPTIMIZERS.names())


def test_an_unknown_name_or_option_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mopso'"):
        make("mopsu")
    with pytest.raises(ConfigError, match="optimizer random: unknown key 'archiv'"):
        make(archiv=3)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"start": (0.0, 0)}, ShapeError, r"one length.*\(2,\), \(3,\)"),
        ({"start": (), "spread": (), "bounds": Bounds(np.zeros(0), np.zeros(0))}, ShapeError, "one length"),
        ({"start": (0.0, 0, 2), "bounds": Bounds(np.zeros(3), np.ones(3))}, ConfigError, "out of bounds"),
        ({"start": (0.0, np.nan, 0)}, ConfigError, "out of bounds or not finite"),
        ({"spread": (1.0, -2, 1)}, ConfigError, "spread goes down to -2.0"),
        ({"spread": (1.0, np.inf, 1)}, ConfigError, "finite numbers"),
        ({"population": 0}, ConfigError, "population is 0: give 1 or more"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(wrong, error, says) -> None:
    with pytest.raises(error, match=says):
        make(**wrong)


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_one_point_an_ask_is_enough(name: str) -> None:
    optimizer: AbstractOptimizer = make(name, population=1)
    for _ in range(5):
        points = optimizer.ask()
        assert points.shape == (1, 3)
        optimizer.tell(points[:, :2] ** 2)
    assert len(optimizer.front.objectives) >= 1


def test_random_points_lie_around_the_start_as_they_are_told_to() -> None:
    start, spread = (1.0, 0, -4), (0.5, 2, 0)
    gaussian = make(start=start, spread=spread, population=4_000).ask()
    uniform = make(start=start, spread=spread, population=4_000, distribution="uniform").ask()
    for points, deviation in ((gaussian, 1.0), (uniform, 3**-0.5)):
        np.testing.assert_allclose(points.mean(axis=0), start, atol=0.1)
        np.testing.assert_allclose(points.std(axis=0), np.multiply(spread, deviation), rtol=0.05)
    assert (np.abs(uniform - start) <= spread).all()
