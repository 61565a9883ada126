from __future__ import annotations

from collections import Counter

import numpy as np
import optuna
import pytest

from mindgap.search.optuna_study import tpe_sampler
from mindgap.search.searcher import Outcome, SearcherSettings
from mindgap.search.searchers.tpe import TpeSearcher, TpeSettings
from mindgap.search.token_walk import draw_uniform
from mindgap.testing.figures_game import FiguresGame
from mindgap.testing.token_game import GameDecision, SmallSpace


class OneToken:
    """One decision of three options; the last is masked."""

    kinds = staticmethod(lambda: {"a": 3})

    class Episode:
        tokens = ()

        @property
        def decision(self):
            return None if self.tokens else GameDecision("a", 0, (0, 1, 2))

        def mask(self):
            return np.array([True, True, False])

        def choose(self, index):
            assert index < 2
            self.tokens = (index,)

    start = Episode


def told(space, outcomes, **settings):
    searcher = TpeSearcher(space, seed=0, settings=TpeSettings(batch=1, lag=0, **settings))
    for outcome in outcomes:
        searcher.tell(outcome)
    return searcher


@pytest.mark.parametrize("objective", ["reward", "front"])
def test_the_option_that_the_best_had_is_drawn_more_often(objective):
    """Of 40 outcomes every other has option 1 and is better in reward, accuracy and U."""
    outcomes = [
        Outcome(
            slot,
            (slot % 2,),
            float(slot % 2),
            accuracy=0.7 + 0.1 * (slot % 2),
            unfairness=0.2 - 0.1 * (slot % 2),
            macs=7,
        )
        for slot in range(40)
    ]
    searcher = told(OneToken(), outcomes, objective=objective)
    drawn = Counter(searcher._propose(slot) for slot in range(40, 80))
    assert drawn[1,] > 35
    # option 2 is masked, and mended to option 1
    assert set(drawn) <= {(0,), (1,)}


def test_proposes_what_optuna_would():
    """The same outcomes in a study made by Optuna's public ask and tell, the same seed: the same suggestion."""
    from mindgap.core.seed import derive_seed

    outcomes = [Outcome(slot, (slot % 3 % 2,), float(np.sin(slot))) for slot in range(30)]
    searcher = told(OneToken(), outcomes, startup=5)
    study = optuna.create_study(direction="maximize")
    for outcome in outcomes:
        trial = optuna.trial.create_trial(
            value=outcome.reward,
            params={"a@0": outcome.tokens[0]},
            distributions={"a@0": optuna.distributions.CategoricalDistribution((0, 1, 2))},
        )
        study.add_trial(trial)
    for slot in range(30, 45):
        study.sampler = tpe_sampler(seed=derive_seed(0, "tpe", slot), startup=5, joint=True)
        suggested = study.ask().suggest_categorical("a@0", (0, 1, 2))
        assert searcher._propose(slot) == (min(suggested, 1),)


def test_before_its_start_up_candidates_are_random():
    searcher = told(OneToken(), [Outcome(slot, (0,), 1.0) for slot in range(4)], startup=5)
    drawn = Counter(searcher._propose(slot) for slot in range(60))
    assert 10 < drawn[0,] < 35  # a third, as options 1 and 2 are both option 1


def test_what_it_sees_is_bounded_and_depends_on_the_number_of_outcomes_alone():
    game = FiguresGame(seed=1, positions=3)
    tokens = [draw_uniform(game.space, np.random.default_rng(k)) for k in range(430)]
    outcomes = [game.outcome(slot, one) for slot, one in enumerate(tokens)]
    grown = told(game.space, outcomes[:290])
    assert len(_complete(grown._seen())) == 290
    for outcome in outcomes[290:]:
        grown.tell(outcome)
    fresh = told(game.space, outcomes)
    seen = [_complete(searcher._seen()) for searcher in (grown, fresh)]
    assert len(seen[0]) == 25 + 230  # the best of slots 0..199, and 200..429
    assert [trial.value for trial in seen[0]] == [trial.value for trial in seen[1]]
    assert [trial.value for trial in seen[0][:25]] == sorted((o.reward for o in outcomes[:200]), reverse=True)[:25]
    assert grown.ask(430) == fresh.ask(430)


def _complete(study):
    return [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]


def test_settings_of_another_searcher_are_refused():
    with pytest.raises(TypeError, match="tpe takes TpeSettings, got SearcherSettings"):
        TpeSearcher(SmallSpace(), seed=0, settings=SearcherSettings())
