"""TPE: options are drawn by how much more often the best candidates have them than the others."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study
from optuna.trial import FrozenTrial
from pydantic import Field

from mindgap.core.seed import derive_seed
from mindgap.search.optuna_study import Objective, asked, finished_trial, memory_study, suggest, tpe_sampler
from mindgap.search.searcher import SEARCHERS, AbstractSearcher, Outcome, SearcherSettings, TokenDecision, TokenSpace
from mindgap.search.token_walk import choices_of, nearest_valid, replay, walk

BEST = 25  # Optuna's TPE calls no more than 25 candidates the best ones
RECENT = 200
RENEWAL = 100


class TpeSettings(SearcherSettings):
    """What Optuna's TPE is given.

    Attributes:
        startup: outcomes before it learns; draws are random so long.
        joint: models decisions that occur together in one density; else each decision by itself.
        objective: ``reward``, or ``front`` for accuracy, U and multiply-accumulates.
    """

    startup: int = Field(default=16, ge=1)
    joint: bool = True
    objective: Objective = "reward"


@SEARCHERS.register("tpe")
class TpeSearcher(AbstractSearcher):
    """Tree-structured Parzen estimator, Optuna's (Bergstra et al. 2011).

    A decision is a parameter named by its kind and position, defined as the walk through the space comes to it, so that
    candidates of different lengths have different parameters. An option that is masked is mended to the nearest valid
    one, and TPE learns from what was tried, not from what it wished for.

    It sees all outcomes up to 300; of more, the last 200 to 299 and the 25 of highest reward before them, so that
    asking takes no longer after 10,000 than after 300.
    """

    Settings: ClassVar[type[SearcherSettings]] = TpeSettings

    def __init__(self, space: TokenSpace, *, seed: int, settings: SearcherSettings | None = None) -> None:
        super().__init__(space, seed=seed, settings=settings)
        if not isinstance(self.settings, TpeSettings):
            raise TypeError(f"tpe takes TpeSettings, got {type(self.settings).__name__}")
        self.numbers = self.settings
        self.outcomes: list[Outcome] = []
        self._study: Study | None = None
        self._trials: dict[int, FrozenTrial] = {}
        self._first = self._held = 0  # of the outcomes: where the study's recent ones begin, and end

    def _propose(self, slot: int) -> tuple[int, ...]:
        seed = derive_seed(self.seed, "tpe", slot)
        sampler = tpe_sampler(seed=seed, startup=self.numbers.startup, joint=self.numbers.joint)
        with asked(self._seen(), sampler) as trial:

            def choose(decision: TokenDecision, valid: NDArray[np.bool_]) -> int:
                if valid.sum() == 1:
                    return int(valid.argmax())
                return nearest_valid(suggest(trial, (decision.kind, decision.position), len(valid)), valid)

            return walk(self.space, choose)

    def _learn(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def _seen(self) -> Study:
        """The study of what TPE may see; which outcomes these are depends on their number alone."""
        number = len(self.outcomes)
        first = max(0, number // RENEWAL * RENEWAL - RECENT)
        if self._study is None or first != self._first:
            best = sorted(range(first), key=lambda k: -self.outcomes[k].reward)[:BEST]
            self._trials = {k: trial for k, trial in self._trials.items() if k >= first or k in best}
            self._study = memory_study(self.numbers.objective, map(self._trial, best))
            self._first = self._held = first
        self._study.add_trials(map(self._trial, range(self._held, number)))
        self._held = number
        return self._study

    def _trial(self, k: int) -> FrozenTrial:
        if k not in self._trials:
            outcome, objective = self.outcomes[k], self.numbers.objective
            choices = choices_of(replay(self.space, outcome.tokens))
            self._trials[k] = finished_trial(outcome, objective, choices=choices, kinds=self.space.kinds())
        return self._trials[k]
