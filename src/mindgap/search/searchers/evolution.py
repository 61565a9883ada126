"""Regularised evolution: the oldest candidate leaves, the best of a few drawn at random has a child."""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from mindgap.core.seed import numpy_generator
from mindgap.search.objectives import front_ranks
from mindgap.search.searcher import SEARCHERS, AbstractSearcher, Outcome, SearcherSettings, TokenSpace
from mindgap.search.token_walk import choices_of, draw_uniform, follow, replay

TRIES = 8


class EvolutionSettings(SearcherSettings):
    """Numbers of the population.

    Attributes:
        population: candidates that may have children, the latest ones told; before there are so many, draws are random.
        tournament: candidates drawn from it; the best of them is the parent.
        fitness: what the best is: the highest ``reward``, or the lowest rank of accuracy, U and multiply-accumulates
            (``front``); of equals the one that was drawn first.
    """

    population: int = Field(default=24, ge=2)
    tournament: int = Field(default=12, ge=1)
    fitness: Literal["reward", "front"] = "reward"


@SEARCHERS.register("evolution")
class EvolutionSearcher(AbstractSearcher):
    """Regularised evolution (Real et al. 2019, algorithm 1), with one changed decision per child.

    The parent wins a tournament among the latest candidates; every candidate leaves the population with age, however
    good, so that a lucky figure does not rule for ever. In the child one decision takes another valid option; later
    choices that are no longer valid are mended to the nearest that is, and decisions that the parent never came to are
    drawn at random. A child that was told before is drawn again, up to eight times.
    """

    Settings: ClassVar[type[SearcherSettings]] = EvolutionSettings

    def __init__(self, space: TokenSpace, *, seed: int, settings: SearcherSettings | None = None) -> None:
        super().__init__(space, seed=seed, settings=settings)
        if not isinstance(self.settings, EvolutionSettings):
            raise TypeError(f"evolution takes EvolutionSettings, got {type(self.settings).__name__}")
        self.numbers = self.settings
        self.population: deque[Outcome] = deque(maxlen=self.numbers.population)
        self.known: set[tuple[int, ...]] = set()

    def _propose(self, slot: int) -> tuple[int, ...]:
        generator = numpy_generator(self.seed, "evolution", slot)
        if len(self.population) < self.numbers.population:
            return draw_uniform(self.space, generator)
        child: tuple[int, ...] = ()
        for _ in range(TRIES):
            child = self._mutate(self._parent(generator).tokens, generator)
            if child not in self.known:
                break
        return child

    def _learn(self, outcome: Outcome) -> None:
        self.population.append(outcome)
        self.known.add(outcome.tokens)

    def _parent(self, generator: np.random.Generator) -> Outcome:
        size = min(self.numbers.tournament, len(self.population))
        drawn = [self.population[i] for i in generator.choice(len(self.population), size=size, replace=False)]
        if self.numbers.fitness == "front":
            return drawn[int(front_ranks(drawn).argmin())]
        return max(drawn, key=lambda outcome: outcome.reward)

    def _mutate(self, tokens: tuple[int, ...], generator: np.random.Generator) -> tuple[int, ...]:
        steps = replay(self.space, tokens)
        open_steps = [step for step in steps if step.valid.sum() > 1]
        if not open_steps:
            return tokens
        step = open_steps[int(generator.integers(len(open_steps)))]
        others = np.flatnonzero(step.valid)
        other = int(generator.choice(others[others != step.choice]))
        return follow(self.space, choices_of(steps) | {(step.kind, step.position): other}, generator)
