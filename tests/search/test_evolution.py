from __future__ import annotations

import numpy as np
import pytest

from mindgap.search.searcher import Outcome
from mindgap.search.searchers.evolution import EvolutionSearcher, EvolutionSettings
from mindgap.search.token_walk import choices_of, draw_uniform, replay
from mindgap.testing.token_game import SmallSpace

SKIPS = (0, 3, 3, 3)  # no width to choose: a child differs in the ratio or in one type


def told(rewards_of, *, batch=1, lag=0, **settings):
    """A searcher that knows these candidates, in order."""
    numbers = EvolutionSettings(batch=batch, lag=lag, **settings)
    searcher = EvolutionSearcher(SmallSpace(), seed=0, settings=numbers)
    for slot, (tokens, reward) in enumerate(rewards_of):
        searcher.tell(Outcome(slot, tokens, reward))
    return searcher


def distance(tokens, other):
    first, second = (choices_of(replay(SmallSpace(), one)) for one in (tokens, other))
    return sum(first[place] != second[place] for place in first.keys() & second.keys())


def test_a_child_has_one_changed_decision_of_the_best_of_the_tournament():
    best, other = (4, 3, 3, 3), (0, 0, 0, 0, 0, 0, 0)
    searcher = told([(best, 1.0), (other, 0.0)], population=2, tournament=2)
    for _ in range(30):
        searcher.tell(Outcome(searcher.told, *((other, 0.0) if searcher.told % 2 else (best, 1.0))))
        assert distance(searcher.ask(searcher.told), best) == 1


def test_children_are_drawn_from_every_decision_of_the_parent():
    searcher = told([(SKIPS, 0.0), (SKIPS, 0.0)], population=2, tournament=1)
    changed = set()
    for _ in range(60):
        searcher.tell(Outcome(searcher.told, SKIPS, 0.0))
        child = choices_of(replay(SmallSpace(), searcher.ask(searcher.told)))
        changed |= {
            place for place, choice in choices_of(replay(SmallSpace(), SKIPS)).items() if child[place] != choice
        }
    assert changed == {("ratio", 0), ("type", 0), ("type", 1), ("type", 2)}


def test_the_oldest_leaves_however_good_it_is():
    star, plain = (4, 3, 3, 3), (0, 0, 0, 0, 0, 0, 0)
    searcher = told([(star, 9.0), (plain, 0.0), (plain, 0.0)], population=2, tournament=2)
    assert [outcome.tokens for outcome in searcher.population] == [plain, plain]
    assert distance(searcher.ask(3), plain) == 1


def test_before_the_population_is_full_candidates_are_random_draws():
    space, searcher = SmallSpace(), told([(SKIPS, 1.0)], population=2)
    children = {searcher._propose(slot) for slot in range(40)}
    assert len(children) > 35
    assert searcher.ask(1) == draw_uniform(space, np.random.default_rng(_seed_of_slot(1)))


def _seed_of_slot(slot):
    from mindgap.core.seed import derive_seed

    return derive_seed(0, "evolution", slot)


def test_a_candidate_that_was_told_is_not_proposed_again_while_there_are_others():
    neighbours = [(ratio, 3, 3, 3) for ratio in range(1, 5)]
    searcher = told([(tokens, 0.0) for tokens in neighbours] + [(SKIPS, 1.0)] * 2, population=2, tournament=2)
    assert all(searcher._propose(slot) not in neighbours for slot in range(100))


def test_on_the_front_a_small_network_may_be_a_parent_and_a_dominated_one_may_not():
    parents = {(0, 3, 3, 3): (0.6, 0.3, 5), (1, 3, 3, 3): (0.9, 0.1, 50), (2, 3, 3, 3): (0.5, 0.4, 60)}
    chosen = {"front": set(), "reward": set()}
    for fitness, seen in chosen.items():
        numbers = EvolutionSettings(batch=1, lag=0, population=3, tournament=3, fitness=fitness)
        searcher = EvolutionSearcher(SmallSpace(), seed=0, settings=numbers)
        for slot, (tokens, (accuracy, unfairness, macs)) in enumerate(parents.items()):
            reward = 0.2 * accuracy - 0.8 * unfairness
            searcher.tell(Outcome(slot, tokens, reward, accuracy=accuracy, unfairness=unfairness, macs=macs))
        seen |= {searcher._parent(np.random.default_rng(seed)).tokens for seed in range(30)}
    assert chosen == {"front": {(0, 3, 3, 3), (1, 3, 3, 3)}, "reward": {(1, 3, 3, 3)}}


def test_settings_of_another_searcher_are_refused():
    from mindgap.search.searcher import SearcherSettings

    with pytest.raises(TypeError, match="evolution takes EvolutionSettings, got SearcherSettings"):
        EvolutionSearcher(SmallSpace(), seed=0, settings=SearcherSettings())
