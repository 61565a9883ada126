"""The contract of a search algorithm."""

from __future__ import annotations

import torch

from mindgap.search.searcher import SEARCHERS, AbstractSearcher, Outcome
from mindgap.testing.token_game import SmallSpace, TokenGame

SLOTS = 40


def play(name: str, *, seed: int = 0, slots: int = SLOTS) -> list[Outcome]:
    """Runs a searcher on a made-up game and returns what it proposed and got."""
    space = SmallSpace()
    game = TokenGame(space, seed=7)
    searcher = SEARCHERS.get(name)(space, seed=seed)
    outcomes: list[Outcome] = []
    for slot in range(slots):
        catch_up(searcher, outcomes, slot)
        tokens = searcher.ask(slot)
        outcomes.append(Outcome(slot, tokens, game.reward(slot, tokens), accuracy=0.5, unfairness=0.1, macs=1))
    return outcomes


def catch_up(searcher: AbstractSearcher, outcomes: list[Outcome], slot: int) -> None:
    """Tells the searcher what the slot depends on."""
    for outcome in outcomes[searcher.told : searcher.visible(slot)]:
        searcher.tell(outcome)


class SearcherConformance:
    """Inherit it and give the fixture ``name``."""

    def test_has_a_docstring_and_settings_that_need_no_argument(self, name: str) -> None:
        searcher = SEARCHERS.get(name)
        assert searcher.__doc__
        searcher.Settings()

    def test_proposes_valid_and_whole_candidates(self, name: str) -> None:
        for outcome in play(name):
            episode = SmallSpace().start()
            for token in outcome.tokens:
                assert episode.decision is not None
                assert episode.mask()[token]
                episode.choose(token)
            assert episode.decision is None

    def test_same_seed_same_candidates_other_seed_others(self, name: str) -> None:
        tokens = [outcome.tokens for outcome in play(name)]
        assert tokens == [outcome.tokens for outcome in play(name)]
        assert tokens != [outcome.tokens for outcome in play(name, seed=1)]

    def test_a_fresh_searcher_told_the_past_proposes_the_same(self, name: str) -> None:
        outcomes = play(name)
        for slot in range(0, SLOTS, 7):
            fresh = SEARCHERS.get(name)(SmallSpace(), seed=0)
            catch_up(fresh, outcomes, slot)
            assert fresh.ask(slot) == outcomes[slot].tokens

    def test_asking_leaves_no_trace(self, name: str) -> None:
        searcher = SEARCHERS.get(name)(SmallSpace(), seed=0)
        first = searcher.ask(3)
        searcher.ask(0)
        assert searcher.ask(3) == first

    def test_leaves_torchs_global_generator_alone(self, name: str) -> None:
        before = torch.get_rng_state()
        play(name, slots=20)
        assert torch.equal(before, torch.get_rng_state())

    def test_a_slot_waits_for_no_later_slot(self, name: str) -> None:
        searcher = SEARCHERS.get(name)(SmallSpace(), seed=0)
        needs = [searcher.visible(slot) for slot in range(SLOTS)]
        assert all(needed <= slot for slot, needed in enumerate(needs))
        assert needs == sorted(needs)
