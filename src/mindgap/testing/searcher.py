"""The contract of a search algorithm."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from mindgap.search.searcher import SEARCHERS, AbstractSearcher, Outcome
from mindgap.testing.figures_game import FiguresGame

SLOTS = 56
FAILED = 9  # every so many candidates one has failed and has no figures
GAME = FiguresGame(seed=7, positions=3)


def play(name: str, *, seed: int = 0, slots: int = SLOTS, earlier: tuple[Outcome, ...] = ()) -> list[Outcome]:
    """Runs a searcher on a made-up game and returns what it proposed and got."""
    searcher = fresh(name, seed=seed)
    searcher.warm(earlier)
    outcomes: list[Outcome] = []
    for slot in range(slots):
        catch_up(searcher, outcomes, slot)
        outcomes.append(_outcome(slot, searcher.ask(slot)))
    return outcomes


def fresh(name: str, *, seed: int = 0) -> AbstractSearcher:
    """The searcher before any outcome."""
    return SEARCHERS.get(name)(GAME.space, seed=seed)


def catch_up(searcher: AbstractSearcher, outcomes: list[Outcome], slot: int) -> None:
    """Tells the searcher what the slot depends on."""
    for outcome in outcomes[searcher.told : searcher.visible(slot)]:
        searcher.tell(outcome)


def _outcome(slot: int, tokens: tuple[int, ...]) -> Outcome:
    outcome = GAME.outcome(slot, tokens)
    if slot % FAILED < FAILED - 1:
        return outcome
    return replace(outcome, reward=-1.0, accuracy=None, unfairness=None, macs=None)


@cache
def _played(name: str) -> tuple[Outcome, ...]:
    return tuple(play(name))


class SearcherConformance:
    """Inherit it and give the fixture ``name``."""

    def test_has_a_docstring_and_settings_that_need_no_argument(self, name: str) -> None:
        searcher = SEARCHERS.get(name)
        assert searcher.__doc__
        searcher.Settings()

    def test_proposes_valid_and_whole_candidates(self, name: str) -> None:
        for outcome in _played(name):
            episode = GAME.space.start()
            for token in outcome.tokens:
                assert episode.decision is not None
                assert episode.mask()[token]
                episode.choose(token)
            assert episode.decision is None

    def test_same_seed_same_candidates_other_seed_others(self, name: str) -> None:
        tokens = [outcome.tokens for outcome in _played(name)]
        assert tokens == [outcome.tokens for outcome in play(name)]
        assert tokens != [outcome.tokens for outcome in play(name, seed=1)]

    def test_a_fresh_searcher_told_the_past_proposes_the_same(self, name: str) -> None:
        outcomes = list(_played(name))
        for slot in range(0, SLOTS, 11):
            searcher = fresh(name)
            catch_up(searcher, outcomes, slot)
            assert searcher.ask(slot) == outcomes[slot].tokens

    def test_asking_leaves_no_trace(self, name: str) -> None:
        outcomes = list(_played(name))
        for slot in (0, SLOTS - 8):  # of which the last batch has much to go by
            searcher = fresh(name)
            catch_up(searcher, outcomes, slot)
            first = searcher.ask(slot + 3)
            searcher.ask(slot)
            assert searcher.ask(slot + 3) == first

    def test_leaves_the_global_generators_alone(self, name: str) -> None:
        before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())  # noqa: NPY002
        play(name)
        assert torch.equal(before[0], torch.get_rng_state())
        assert before[1:] == (random.getstate(), str(np.random.get_state()))  # noqa: NPY002

    def test_a_slot_waits_for_no_later_slot(self, name: str) -> None:
        searcher = fresh(name)
        needs = [searcher.visible(slot) for slot in range(SLOTS)]
        assert all(needed <= slot for slot, needed in enumerate(needs))
        assert needs == sorted(needs)

    def test_a_state_is_taken_back_bit_for_bit(self, name: str) -> None:
        outcomes = list(_played(name))
        told = fresh(name)
        catch_up(told, outcomes, SLOTS - 8)
        state = told.state()
        if state is None:
            return  # it is told everything again
        again = fresh(name)
        again.restore(state)
        assert again.told == told.told
        for slot in (SLOTS - 8, SLOTS - 1):
            catch_up(again, outcomes, slot)
            assert again.ask(slot) == outcomes[slot].tokens

    def test_earlier_searches_are_part_of_what_it_is_a_function_of(self, name: str) -> None:
        earlier = tuple(_outcome(900 + k, outcome.tokens) for k, outcome in enumerate(_played("random")[:27]))
        warmed = play(name, slots=20, earlier=earlier)
        assert warmed == play(name, slots=20, earlier=earlier)
        searcher = fresh(name)
        searcher.warm(earlier)
        assert searcher.told == 0
        catch_up(searcher, warmed, 19)
        assert searcher.ask(19) == warmed[19].tokens

    def test_earlier_searches_come_before_the_first_outcome(self, name: str) -> None:
        searcher = fresh(name)
        searcher.tell(_played(name)[0])
        with pytest.raises(ValueError, match="1 outcomes were told already"):
            searcher.warm([])
