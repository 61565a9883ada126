"""Multi-objective particle swarm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, FiniteFloat, field_validator

from mindgap.core.config import StrictModel
from mindgap.tune.archive import Archive, Rows, crowding
from mindgap.tune.dominance import Flags, Floats, Judged, dominates, judged
from mindgap.tune.optimizer import OPTIMIZERS, AbstractOptimizer, Bounds, Front

COEFFICIENTS = 3
W, C1, C2 = -3, -2, -1  # where a particle's vector carries its coefficients


class MopsoOptions(StrictModel):
    """Options of ``Mopso``; what is "of the cloud" is a share of the first points' width, twice the spread.

    Attributes:
        inertia: range of w.
        acceleration: range of c1 and of c2.
        velocity: largest step per dimension, of the cloud.
        archive: most members of the archive.
        divisions: cells of its grid along each objective.
        noise: standard deviation of the noise, of the cloud; 0 is none.
        tail: how few dimensions are disturbed at a time: k of them with a probability ∝ k^−tail.
        acceptance: how probably a disturbed particle stays where the noise took it if it is worse there.
    """

    inertia: tuple[float, float] = (0.1, 0.9)
    acceleration: tuple[float, float] = (0.5, 2.5)
    velocity: FiniteFloat = Field(default=0.2, gt=0)
    archive: int = Field(default=100, ge=1)
    divisions: int = Field(default=10, ge=1)
    noise: FiniteFloat = Field(default=0.1, ge=0)
    tail: FiniteFloat = Field(default=1.5, ge=0)
    acceptance: float = Field(default=0.5, ge=0, le=1)

    @field_validator("inertia", "acceleration")
    @classmethod
    def _is_a_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] <= value[1] < np.inf:
            raise ValueError("give the least and the most, both 0 or more")
        return value


@dataclass(eq=False)
class Swarm:
    """Particles; the last three numbers of a vector are its w, c1 and c2.

    Attributes:
        vectors: float64 (N, D + 3), positions and coefficients.
        velocities: float64 (N, D + 3).
        bests: float64 (N, D + 3), the vectors of the personal bests.
    """

    vectors: Floats
    velocities: Floats
    bests: Floats


def fly(swarm: Swarm, leaders: Floats, *, first: Floats, second: Floats, limit: Floats) -> None:
    """Moves every particle, in place (Blanzeisky & Cunningham, eqs 6, then 5).

        V ← w V + c1 r1 (pbest − X) + c2 r2 (gbest − X),  X ← X + V

    The coefficients w, c1, c2 are those the particle carries at the time; they move by the same equations as its
    position (Montalvo et al. 2010).

    Args:
        swarm: what moves.
        leaders: float64 (N, D + 3), the vectors of gbest, one per particle.
        first: float64 (N, D + 3), r1, drawn for every dimension.
        second: float64 (N, D + 3), r2.
        limit: float64 (D + 3,), the largest step.

    Example:
        One dimension, X = 1, V = .1, w = .5, c1 = 1, c2 = 2, pbest 2, gbest 3, r1 = r2 = .5:
        V = .05 + 1 · .5 · 1 + 2 · .5 · 2 = 2.55 and X = 3.55, if the limit lets it.
    """
    inertia, own, common = (swarm.vectors[:, [column]] for column in (W, C1, C2))
    swarm.velocities *= inertia
    swarm.velocities += own * first * (swarm.bests - swarm.vectors)
    swarm.velocities += common * second * (leaders - swarm.vectors)
    np.clip(swarm.velocities, -limit, limit, out=swarm.velocities)
    swarm.vectors += swarm.velocities


@OPTIMIZERS.register("mopso")
class Mopso(AbstractOptimizer):
    """Particle swarm with an archive on a grid, coefficients in the particle, noise where it is crowded.

    Coello & Lechuga 2002 as changed by Blanzeisky & Cunningham 2023, §4.2. Where they leave a choice open, and where
    their words as they stand let the swarm converge too early or not at all, it is so:

    * A particle at a bound stops there in that dimension; it does not bounce back.
    * A cell is dense when it holds more of the swarm than its share were it spread over 2 · divisions cells, about as
      many as a front of two objectives crosses.
    * A particle in a dense cell is disturbed: it takes its leader's position, from a sparse cell, with Gaussian noise
      in k of its D dimensions, P(k) ∝ k^−1.5 (heavy-tailed mutation, Doerr et al. 2017), and draws its coefficients
      anew. Noise in all dimensions at once improves nothing once all but a few are right.
    * If it is worse there than its personal best, it stays with probability ½; if not it is put back where the flight
      had taken it. The personal best itself is replaced by what dominates it, and by a fair coin if neither does.
    """

    options_model: ClassVar[type[StrictModel]] = MopsoOptions
    options: MopsoOptions

    def __init__(
        self, start: Floats, spread: Floats, *, bounds: Bounds, population: int, seed: int, options: Any
    ) -> None:
        super().__init__(start, spread, bounds=bounds, population=population, seed=seed, options=options)
        self._generator = np.random.default_rng(seed)
        least, most = np.array([self.options.inertia, self.options.acceleration, self.options.acceleration]).T
        self._low, self._high = np.append(bounds.low, least), np.append(bounds.high, most)
        self._cloud = np.append(2 * spread, most - least)
        vectors = np.hstack([self.scattered(self._generator), self._coefficients(population)])
        self._swarm = Swarm(vectors, np.zeros_like(vectors), vectors.copy())
        self._best: Judged | None = None
        self._archive = Archive(capacity=self.options.archive, divisions=self.options.divisions)
        self._disturbed: Rows = np.zeros(0, dtype=np.intp)
        self._flown: Floats = vectors[:0]

    def ask(self) -> Floats:
        """Points to judge, float64 (population, D)."""
        return self._swarm.vectors[:, :-COEFFICIENTS].copy()

    def tell(self, objectives: Floats, violations: Floats | None = None) -> None:
        """Takes their judgement, and moves the swarm."""
        found = judged(objectives, violations, population=self.population)
        self._archive.add(self._swarm.vectors, found)
        worse = self._remember(found)
        self._put_back(worse)
        leaders = self._leaders()
        self._move(leaders)
        self._disturb(found, leaders)

    @property
    def front(self) -> Front:
        """The archive."""
        return Front(self._archive.positions[:, :-COEFFICIENTS].copy(), self._archive.judged.objectives.copy())

    def _coefficients(self, count: int) -> Floats:
        return self._generator.uniform(self._low[W:], self._high[W:], (count, COEFFICIENTS))

    def _remember(self, found: Judged) -> Flags:
        """Updates the personal bests; returns who is worse than its own, bool (N,)."""
        if self._best is None:
            self._best = found
            return np.zeros(self.population, dtype=np.bool_)
        worse = dominates(self._best, found)
        coin = self._generator.random(self.population) < 0.5
        taken = dominates(found, self._best) | (~worse & coin)
        self._swarm.bests[taken] = self._swarm.vectors[taken]
        self._best.objectives[taken], self._best.violations[taken] = found.objectives[taken], found.violations[taken]
        return worse

    def _put_back(self, worse: Flags) -> None:
        """Undoes the noise that made a particle worse and is not accepted."""
        refused = worse[self._disturbed] & (self._generator.random(len(self._disturbed)) >= self.options.acceptance)
        self._swarm.vectors[self._disturbed[refused]] = self._flown[refused]

    def _leaders(self) -> Floats:
        """The vectors to follow, float64 (N, D + 3); as long as nothing is a candidate, the particles' own bests."""
        if len(self._archive) == 0:
            return self._swarm.bests
        return self._archive.positions[self._archive.leaders(self.population, self._generator)]

    def _move(self, leaders: Floats) -> None:
        shape = self._swarm.vectors.shape
        first, second = self._generator.random(shape), self._generator.random(shape)
        fly(self._swarm, leaders, first=first, second=second, limit=self.options.velocity * self._cloud)
        self._stay_within()

    def _stay_within(self) -> None:
        vectors = self._swarm.vectors
        self._swarm.velocities[(vectors < self._low) | (vectors > self._high)] = 0
        np.clip(vectors, self._low, self._high, out=vectors)

    def _disturb(self, found: Judged, leaders: Floats) -> None:
        self._disturbed = self._crowded(found)
        rows, vectors = self._disturbed, self._swarm.vectors
        self._flown = vectors[rows]
        vectors[rows] = self._noisy(leaders[rows])

    def _crowded(self, found: Judged) -> Rows:
        """Rows of the particles in dense cells, by the judgement of where they were before this flight."""
        if self.options.noise == 0 or len(self._archive) == 0:
            return np.zeros(0, dtype=np.intp)
        crowd = crowding(self._archive.cells(found.objectives))
        return np.flatnonzero(crowd * 2 * self.options.divisions > self.population)

    def _noisy(self, vectors: Floats) -> Floats:
        """Gaussian noise in a few dimensions of each, and new coefficients; changes its argument."""
        positions = vectors[:, :-COEFFICIENTS]
        steps = self._generator.standard_normal(positions.shape)
        steps *= self._dimensions(positions.shape)
        steps *= self.options.noise * self._cloud[:-COEFFICIENTS]
        positions += steps
        self.bounded(positions)
        vectors[:, -COEFFICIENTS:] = self._coefficients(len(vectors))
        return vectors

    def _dimensions(self, shape: tuple[int, ...]) -> Flags:
        """Which dimensions to disturb, bool (K, D): each with probability k/D, and one if that were none."""
        count, dimensions = shape
        sizes = np.arange(1, dimensions + 1)
        odds = sizes**-self.options.tail
        size = self._generator.choice(sizes, size=(count, 1), p=odds / odds.sum())
        chosen = self._generator.random(shape) * dimensions < size
        none = np.flatnonzero(~chosen.any(axis=1))
        chosen[none, self._generator.integers(dimensions, size=len(none))] = True
        return chosen
