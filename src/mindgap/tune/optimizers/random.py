"""Random points around the start."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from mindgap.core.config import StrictModel
from mindgap.tune.archive import Archive
from mindgap.tune.dominance import Floats, judged
from mindgap.tune.optimizer import OPTIMIZERS, AbstractOptimizer, Bounds, Front


class RandomOptions(StrictModel):
    """Options of ``Random``.

    Attributes:
        distribution: Gaussian with standard deviation ``spread``, or uniform within ± ``spread``.
        archive: most points that are kept.
        divisions: cells of the archive's grid along each objective.
    """

    distribution: Literal["gaussian", "uniform"] = "gaussian"
    archive: int = Field(default=100, ge=1)
    divisions: int = Field(default=10, ge=1)


@OPTIMIZERS.register("random")
class Random(AbstractOptimizer):
    """Random points around the start, which learn nothing from each other: what an optimiser has to beat."""

    options_model: ClassVar[type[StrictModel]] = RandomOptions
    options: RandomOptions

    def __init__(
        self, start: Floats, spread: Floats, *, bounds: Bounds, population: int, seed: int, options: Any
    ) -> None:
        super().__init__(start, spread, bounds=bounds, population=population, seed=seed, options=options)
        self._generator = np.random.default_rng(seed)
        self._archive = Archive(capacity=self.options.archive, divisions=self.options.divisions)
        self._points = self._draw()
        self._points[0] = start

    def ask(self) -> Floats:
        """Points to judge, float64 (population, D)."""
        return self._points.copy()

    def tell(self, objectives: Floats, violations: Floats | None = None) -> None:
        """Takes their judgement, and draws the next."""
        self._archive.add(self._points, judged(objectives, violations, population=self.population))
        self._points = self._draw()

    @property
    def front(self) -> Front:
        """The archive."""
        return Front(self._archive.positions.copy(), self._archive.judged.objectives.copy())

    def _draw(self) -> Floats:
        shape = (self.population, len(self.start))
        uniform = self.options.distribution == "uniform"
        steps = self._generator.uniform(-1, 1, shape) if uniform else self._generator.standard_normal(shape)
        steps *= self.spread
        steps += self.start
        return self.bounded(steps)
