from __future__ import annotations

import pytest

from mindgap.search.optuna_study import elite
from mindgap.search.searcher import Outcome, SearcherSettings
from mindgap.search.searchers.nsga2 import Nsga2Searcher, Nsga2Settings
from mindgap.testing.figures_game import FiguresGame
from mindgap.testing.token_game import SmallSpace


def outcome(slot, tokens, accuracy, unfairness, macs):
    return Outcome(slot, tokens, 0.2 * accuracy - 0.8 * unfairness, accuracy=accuracy, unfairness=unfairness, macs=macs)


def told(outcomes, **settings):
    searcher = Nsga2Searcher(SmallSpace(), seed=0, settings=Nsga2Settings(batch=1, lag=0, **settings))
    for one in outcomes:
        searcher.tell(one)
    return searcher


def test_survivors_are_the_front_then_the_loneliest_of_the_next_rank_by_hand():
    """Two points of rank 0. Of rank 1's four, on a line, the ends are infinitely lonely, the inner two are not."""
    front = [outcome(0, (0,), 0.9, 0.1, 1), outcome(1, (1,), 0.8, 0.05, 1)]
    line = [outcome(2 + k, (2,), 0.70 - 0.1 * x, 0.4 - 0.1 * x, 2) for k, x in enumerate((0, 0.5, 1, 3))]
    infeasible = Outcome(9, (3,), -1.0, accuracy=0.5, unfairness=0.0, macs=0, feasible=False)
    assert {one.slot for one in elite([*line, infeasible, *front], 4)} == {0, 1, 2, 5}


def test_children_of_identical_parents_without_mutation_are_the_parent():
    parent = (4, 0, 2, 3, 2, 1)
    searcher = told([outcome(slot, parent, 0.8, 0.1, 5) for slot in range(2)], population=2, mutations=0)
    assert searcher.ask(2) == parent


def test_a_child_takes_every_choice_from_one_of_its_two_parents():
    first, second = (4, 0, 2, 0, 1, 2, 1), (1, 2, 0, 1, 2, 0, 0)
    parents = [outcome(0, first, 0.9, 0.3, 5), outcome(1, second, 0.7, 0.1, 5)]
    searcher = told(parents, population=2, mutations=0)
    children = [searcher._propose(slot) for slot in range(30)]
    either = [{*pair} for pair in zip(first, second, strict=True)]
    assert all(token in pair for child in children for token, pair in zip(child, either, strict=True))
    assert len(set(children)) > 10


def test_a_generation_is_so_many_outcomes_whatever_their_parents():
    game = FiguresGame(seed=2, positions=3)
    searcher = told([], population=4)
    seen = []
    for slot in range(13):
        searcher.tell(game.outcome(slot, searcher.ask(slot)))
        seen.append((searcher.generations, len(searcher.generation), len(searcher.parents)))
    assert seen[2:5] == [(0, 3, 0), (1, 0, 4), (1, 1, 4)]
    assert seen[-1] == (3, 1, 4)


def test_without_a_feasible_candidate_the_most_accurate_are_parents():
    tokens = [(ratio, 3, 3, 3) for ratio in range(4)]
    accuracies = (0.2, 0.5, 0.3, 0.4)
    below = [
        Outcome(slot, one, -1.0, accuracy=accuracy, unfairness=0.0, macs=1, feasible=False)
        for slot, (one, accuracy) in enumerate(zip(tokens, accuracies, strict=True))
    ]
    searcher = told([*below[:2], *below[2:]], population=2)
    assert {parent.accuracy for parent in searcher.parents} == {0.5, 0.4}


def test_settings_of_another_searcher_are_refused():
    with pytest.raises(TypeError, match="nsga2 takes Nsga2Settings, got SearcherSettings"):
        Nsga2Searcher(SmallSpace(), seed=0, settings=SearcherSettings())
