"""How near optimisers come to a known front, and what each part of the swarm gives.

    python experiments/optimizers.py

ZDT1, ZDT2, ZDT6 and BNH, 20,000 points judged in 200 rounds of 100, 10 seeds (0 to 9): the hypervolume up to 1.1 of the
nadir as a share of the best front's. The swarm's numbers were chosen with seeds 0 to 9 in sight, so it is played with
30 others, 100 to 129, too. The rivals of pymoo are played at their defaults with 100 points a round. Rows
that are in ``experiments/results/optimizers.csv`` are not played again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from csv_rows import append_rows, read_rows

from mindgap.testing.made_problems import PROBLEMS, MadeProblem, middle_of, play
from mindgap.tune.archive import Archive, Rows
from mindgap.tune.dominance import Flags, Floats
from mindgap.tune.optimizer import AbstractOptimizer, make_optimizer
from mindgap.tune.optimizers.mopso import COEFFICIENTS, Mopso, MopsoOptions

TABLE = Path(__file__).parent / "results" / "optimizers.csv"
EVALUATIONS, POPULATION = 20_000, 100
SEEDS, OTHER_SEEDS = range(10), range(100, 130)


class ForgetfulArchive(Archive):
    """Loses members of the densest cells at random, the ends of the front too."""

    def __init__(self, *, capacity: int, divisions: int) -> None:
        super().__init__(capacity=capacity, divisions=divisions)
        self._generator = np.random.default_rng(0)

    def _protected(self, objectives: Floats) -> Flags:
        return np.zeros(len(objectives), dtype=np.bool_)

    def _leaver(self, cell: Rows, free: Flags, between: Floats) -> int:
        del between
        return int(self._generator.choice(np.flatnonzero(free & (cell == np.bincount(cell[free]).argmax()))))


class Bouncing(Mopso):
    """At a bound the velocity turns."""

    def _stay_within(self) -> None:
        vectors = self._swarm.vectors
        self._swarm.velocities[(vectors < self._low) | (vectors > self._high)] *= -1
        np.clip(vectors, self._low, self._high, out=vectors)


class AroundItself(Mopso):
    """Noise is added to the position the flight led to."""

    def _noisy(self, vectors: Floats) -> Floats:
        vectors[:] = self._flown
        return super()._noisy(vectors)


class AllDimensions(Mopso):
    """Noise in every dimension."""

    def _dimensions(self, shape: tuple[int, ...]) -> Flags:
        return np.ones(shape, dtype=np.bool_)


class SameCoefficients(Mopso):
    """A disturbed particle keeps its coefficients."""

    def _noisy(self, vectors: Floats) -> Floats:
        super()._noisy(vectors)
        vectors[:, -COEFFICIENTS:] = self._flown[:, -COEFFICIENTS:]
        return vectors


class Forgetful(Mopso):
    """With the forgetful archive."""

    def __init__(self, start: Floats, spread: Floats, **rest: Any) -> None:
        super().__init__(start, spread, **rest)
        self._archive = ForgetfulArchive(capacity=self.options.archive, divisions=self.options.divisions)


class Literal(Bouncing, SameCoefficients, AroundItself, AllDimensions, Forgetful):
    """None of the changes."""


def named(name: str, **options: object) -> Callable[[MadeProblem, int], float]:
    def run(problem: MadeProblem, seed: int) -> float:
        start, spread, bounds = middle_of(problem)
        optimizer = make_optimizer(
            name, start, spread, bounds=bounds, population=POPULATION, seed=seed, options=options
        )
        return play(optimizer, problem, evaluations=EVALUATIONS)

    return run


def changed(kind: type[Mopso]) -> Callable[[MadeProblem, int], float]:
    def run(problem: MadeProblem, seed: int) -> float:
        start, spread, bounds = middle_of(problem)
        optimizer: AbstractOptimizer = kind(
            start, spread, bounds=bounds, population=POPULATION, seed=seed, options=MopsoOptions()
        )
        return play(optimizer, problem, evaluations=EVALUATIONS)

    return run


def pymoo(name: str) -> Callable[[MadeProblem, int], float]:
    def run(problem: MadeProblem, seed: int) -> float:
        from pymoo.algorithms.moo.mopso_cd import MOPSO_CD
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.problem import Problem
        from pymoo.optimize import minimize

        class Wrapped(Problem):
            def __init__(self) -> None:
                super().__init__(n_var=len(problem.low), n_obj=2, n_ieq_constr=1, xl=problem.low, xu=problem.high)

            def _evaluate(self, x: Floats, out: dict[str, Floats], *_: object, **__: object) -> None:
                out["F"], violations = problem.judge(x)
                out["G"] = violations[:, None]

        algorithm = (
            NSGA2(pop_size=POPULATION) if name == "nsga2" else MOPSO_CD(pop_size=POPULATION, archive_size=POPULATION)
        )
        found = minimize(Wrapped(), algorithm, ("n_eval", EVALUATIONS), seed=seed, verbose=False)
        return problem.hypervolume(found.F)

    return run


PLAYERS = {
    "mopso": named("mopso"),
    "mopso, other seeds": named("mopso"),
    "nsga2": named("nsga2"),
    "random": named("random", distribution="uniform"),
    "pymoo NSGA2": pymoo("nsga2"),
    "pymoo MOPSO_CD": pymoo("mopso_cd"),
    "mopso, none of the changes": changed(Literal),
    "mopso, no noise": named("mopso", noise=0),
    "mopso, noise around itself": changed(AroundItself),
    "mopso, noise in all dimensions": changed(AllDimensions),
    "mopso, coefficients kept": changed(SameCoefficients),
    "mopso, bouncing": changed(Bouncing),
    "mopso, forgetful archive": changed(Forgetful),
    "mopso, worse never accepted": named("mopso", acceptance=0),
    "mopso, worse always accepted": named("mopso", acceptance=1),
    "mopso, w .4 and c1 = c2 = 2": named("mopso", inertia=(0.4, 0.4), acceleration=(2, 2)),
}


def main() -> None:
    done = {(row["optimizer"], row["problem"]) for row in read_rows(TABLE)}
    for name, player in PLAYERS.items():
        for problem, made in PROBLEMS.items():
            if (name, problem) in done:
                continue
            begin = time.process_time()
            seeds = OTHER_SEEDS if name.endswith("other seeds") else SEEDS
            shares = [player(made(), seed) for seed in seeds]
            row = {"optimizer": name, "problem": problem, "seeds": len(seeds), "evaluations": EVALUATIONS}
            row |= {"least": f"{min(shares):.4f}", "mean": f"{np.mean(shares):.4f}", "most": f"{max(shares):.4f}"}
            append_rows(TABLE, [row | {"cpu_seconds": f"{(time.process_time() - begin) / len(seeds):.2f}"}])


if __name__ == "__main__":
    main()
