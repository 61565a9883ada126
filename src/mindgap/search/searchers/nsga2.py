"""NSGA-II: a population of trade-offs between accuracy, U and multiply-accumulates that cross and mutate."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from optuna.study import Study
from pydantic import Field

from mindgap.core.seed import derive_seed, numpy_generator
from mindgap.search.optuna_study import asked, elite, finished_trial, memory_study, nsga2_sampler, suggest
from mindgap.search.searcher import SEARCHERS, AbstractSearcher, Outcome, SearcherSettings, TokenSpace
from mindgap.search.token_walk import Place, choices_of, draw_uniform, follow, replay

TRIES = 8


class Nsga2Settings(SearcherSettings):
    """Numbers of the population.

    Attributes:
        population: candidates of a generation, and parents that are kept of it.
        mutations: decisions of a child that change at random, on average.
    """

    population: int = Field(default=16, ge=2)
    mutations: float = Field(default=1.0, ge=0)


@SEARCHERS.register("nsga2")
class Nsga2Searcher(AbstractSearcher):
    """NSGA-II, Optuna's (Deb et al. 2002), on accuracy, U and multiply-accumulates; it does not look at the reward.

    A candidate below the accuracy floor, or one that was rejected or failed, is worse than any other. Every
    ``population`` outcomes in the order of their slots are a generation, whichever parents their candidates had.

    Optuna wants the same genes in every parent. A gene is a choice at a place (kind and position); places that a parent
    never came to have a silent gene, drawn at random, which a child may come to express. A choice that is not valid in
    the child is mended to the nearest valid one. A child that was told before is drawn again, up to eight times.
    """

    Settings: ClassVar[type[SearcherSettings]] = Nsga2Settings

    def __init__(self, space: TokenSpace, *, seed: int, settings: SearcherSettings | None = None) -> None:
        super().__init__(space, seed=seed, settings=settings)
        if not isinstance(self.settings, Nsga2Settings):
            raise TypeError(f"nsga2 takes Nsga2Settings, got {type(self.settings).__name__}")
        self.numbers = self.settings
        self.known: set[tuple[int, ...]] = set()
        self.generation: list[Outcome] = []
        self.generations = 0
        self.parents: list[Outcome] = []
        self._pool: _Pool | None = None

    def _propose(self, slot: int) -> tuple[int, ...]:
        generator = numpy_generator(self.seed, "nsga2", slot)
        if not self.parents:
            return draw_uniform(self.space, generator)
        if self._pool is None:
            silent = numpy_generator(self.seed, "nsga2 silent genes", self.generations)
            self._pool = _Pool(self.space, self.parents, silent)
        child: tuple[int, ...] = ()
        for attempt in range(TRIES):
            choices = self._pool.child(self.numbers, seed=derive_seed(self.seed, "nsga2", slot, attempt))
            child = follow(self.space, choices, generator)
            if child not in self.known:
                break
        return child

    def _learn(self, outcome: Outcome) -> None:
        self.known.add(outcome.tokens)
        self.generation.append(outcome)
        if len(self.generation) == self.numbers.population:
            self.parents = elite([*self.parents, *self.generation], self.numbers.population)
            self.generation, self._pool = [], None
            self.generations += 1


class _Pool:
    """The parents of a generation with all their genes, as Optuna needs them."""

    def __init__(self, space: TokenSpace, parents: list[Outcome], generator: np.random.Generator) -> None:
        expressed = [choices_of(replay(space, parent.tokens)) for parent in parents]
        self.kinds = dict(space.kinds())
        self.places: list[Place] = sorted(set().union(*expressed))
        self.length = float(np.mean([len(choices) for choices in expressed]))
        genes = [
            {place: int(generator.integers(self.kinds[place[0]])) for place in self.places} | choices
            for choices in expressed
        ]
        self.study: Study = memory_study(
            "front",
            (
                finished_trial(parent, "front", choices=choices, kinds=self.kinds)
                for parent, choices in zip(parents, genes, strict=True)
            ),
        )

    def child(self, numbers: Nsga2Settings, *, seed: int) -> dict[Place, int]:
        """All genes of a child. A mutation of a silent gene shows nothing, so the rate is by expressed ones."""
        rate = min(1.0, numbers.mutations / self.length)
        with asked(self.study, nsga2_sampler(seed=seed, population=numbers.population, mutation=rate)) as trial:
            return {place: suggest(trial, place, self.kinds[place[0]]) for place in self.places}
