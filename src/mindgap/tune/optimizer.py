"""What a multi-objective optimiser is: it asks for points to be judged, and is told their objectives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mindgap.core.config import StrictModel, parse
from mindgap.core.errors import ConfigError, ShapeError
from mindgap.core.registry import Registry

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bounds:
    """Where points lie.

    Attributes:
        low: float64 (D,), least values; −∞ where there is none.
        high: float64 (D,), largest values; ∞ where there is none.
    """

    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Front:
    """Points of which none is dominated by another.

    Attributes:
        positions: float64 (K, D).
        objectives: float64 (K, M).
    """

    positions: Floats
    objectives: Floats


class NoOptions(StrictModel):
    """An optimiser without options."""


class AbstractOptimizer(ABC):
    """Minimises M objectives over D numbers; a new one is one file with ``@OPTIMIZERS.register("name")``.

    ``ask`` and ``tell`` take turns. Everything drawn depends on the seed alone.

    Attributes:
        options_model: the options it takes.
    """

    options_model: ClassVar[type[StrictModel]] = NoOptions

    def __init__(
        self, start: Floats, spread: Floats, *, bounds: Bounds, population: int, seed: int, options: Any
    ) -> None:
        """Remembers what it begins with.

        Args:
            start: float64 (D,), the first point of the first ask, such as a trained head.
            spread: float64 (D,), how far from it, about, the other first points lie; also the scale of steps.
            bounds: of all points that are asked for.
            population: points per ask.
            seed: of everything drawn.
            options: an ``options_model``.

        Raises:
            ShapeError: start, spread and bounds are not of one length.
            ConfigError: the start is out of bounds, a spread is negative or not finite, or there are no points.
        """
        _check(start, spread, bounds, population)
        self.start, self.spread, self.bounds = start, spread, bounds
        self.population, self.seed, self.options = population, seed, options

    def scattered(self, generator: np.random.Generator) -> Floats:
        """First points, float64 (population, D): the start, then others evenly within ± ``spread`` of it."""
        steps = generator.uniform(-1, 1, (self.population, len(self.start)))
        steps[0] = 0
        steps *= self.spread
        steps += self.start
        return self.bounded(steps)

    def bounded(self, points: Floats) -> Floats:
        """The points, float64 (N, D), with what is out of bounds set to the bound, in place."""
        return np.clip(points, self.bounds.low, self.bounds.high, out=points)

    @abstractmethod
    def ask(self) -> Floats:
        """Points to judge, float64 (population, D), within the bounds; the first ask holds ``start`` as its first."""

    @abstractmethod
    def tell(self, objectives: Floats, violations: Floats | None = None) -> None:
        """Takes the judgement of the points of the last ask.

        Args:
            objectives: float64 (population, M), smaller is better; a row that is not finite is no candidate.
            violations: float64 (population,), 0 where all constraints hold, else by how much they are missed; a point
                that misses less is better whatever its objectives, one that is not finite is no candidate. None is
                all 0.

        Raises:
            ShapeError: there is not one row per point.
        """

    @property
    @abstractmethod
    def front(self) -> Front:
        """The best points that were told of, at most as many as the optimiser keeps; none is dominated by another."""


OPTIMIZERS: Registry[type[AbstractOptimizer]] = Registry("optimizers", package="mindgap.tune.optimizers")


def make_optimizer(
    name: str,
    start: Floats,
    spread: Floats,
    *,
    bounds: Bounds,
    population: int,
    seed: int,
    options: Mapping[str, Any] | None = None,
) -> AbstractOptimizer:
    """The optimiser of that name with its options.

    Raises:
        UnknownNameError: no optimiser has the name.
        ConfigError: an option is unknown or does not fit, or the start is out of bounds.
        ShapeError: start, spread and bounds are not of one length.
    """
    kind = OPTIMIZERS.get(name)
    parsed = parse(kind.options_model, options or {}, source=f"optimizer {name}")
    return kind(start, spread, bounds=bounds, population=population, seed=seed, options=parsed)


def _check(start: Floats, spread: Floats, bounds: Bounds, population: int) -> None:
    shapes = [np.shape(values) for values in (start, spread, bounds.low, bounds.high)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1 or shapes[0] == (0,):
        raise ShapeError(
            f"start, spread, low and high must be of one length, one number per dimension; got shapes {shapes}"
        )
    if population < 1:
        raise ConfigError(f"population is {population}: give 1 or more")
    if not (np.isfinite(start).all() and np.all(bounds.low <= start) and np.all(start <= bounds.high)):
        raise ConfigError("the start has numbers out of bounds or not finite; widen the bounds or move the start")
    if not np.all((spread >= 0) & np.isfinite(spread)):
        raise ConfigError(f"spread goes down to {np.min(spread)}: give finite numbers of 0 or more")
