"""Whole searches played without an image: whatever the batches, the brackets and the raises, they end."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mindgap.core.seed import numpy_generator
from mindgap.search.agenda import Target, closing_due, is_done, next_job, propose, rung_due
from mindgap.search.decider import Decider
from mindgap.search.reward import Reward
from mindgap.search.rungs import Promotion, RungPlan
from mindgap.search.searcher import SEARCHERS
from mindgap.search.slot import Slot
from mindgap.testing.made_slots import attempt, result
from mindgap.testing.token_game import SmallSpace

REWARD = Reward(alpha=1.0, beta=1.0, accuracy_floor=0.0, infeasible=-2.0)


class Play:
    """A search on a made-up ledger, by as many workers as can find work at once."""

    def __init__(self, rungs, *, batch=8, lag=1, workers=3, seed=0):
        kind = SEARCHERS.get("evolution")
        self.searcher = kind(SmallSpace(), seed=0, settings=kind.Settings(batch=batch, lag=lag))
        self.decide, self.workers = Decider(rungs), workers
        self.order = numpy_generator(seed, "order")
        self.attempts: dict[int, list] = {}
        self.closings: list[int] = []
        self.tokens: dict[int, tuple[int, ...]] = {}

    @property
    def slots(self):
        made = [
            Slot(tuple(replace(one, tokens=self.tokens[slot]) for one in self.attempts[slot]))
            for slot in sorted(self.attempts)
        ]
        return self.decide(made, self.closings)

    def until(self, trials):
        """Plays to the end; fails when nobody finds anything to do before."""
        target = Target(trials=trials)
        while not is_done(self.slots, target):
            working = [slot.number for slot in self.slots if slot.state == "running"]
            if len(working) < self.workers and self._begin_one(target):
                continue
            if not working:
                states = [slot.state for slot in self.slots]
                raise AssertionError(f"a search of {trials} waits for ever after {len(states)} slots: {states}")
            self._end_one(int(self.order.choice(working)))
        return self.slots

    def _begin_one(self, target):
        if closing_due(self.slots, self.searcher, target):
            self.closings.append(len(self.slots))
            return True
        job = next_job(self.slots, self.searcher, target)
        if job.kind == "begin":
            self.tokens[job.slot] = propose(self.searcher, self.slots, job.slot, reward=REWARD)
            self.attempts[job.slot] = [attempt(job.slot, 1)]
        elif job.kind == "resume":
            slot = self.slots[job.slot]
            self.attempts[job.slot].append(attempt(job.slot, slot.last.attempt + 1, rung=rung_due(slot)))
        return job.kind in {"begin", "resume"}

    def _end_one(self, slot):
        tries = self.attempts[slot]
        figures = numpy_generator("figures", slot, tries[-1].rung).random(3)
        accuracy, gap, size = figures.tolist()
        found = result(accuracy, gap, int(100 * size))
        tries[-1] = attempt(slot, len(tries), rung=tries[-1].rung, found=found)


def plan(*, bracket, asynchronous=False):
    promotion = Promotion(control_share=0.1, asynchronous=asynchronous)
    return RungPlan(epochs=(1, 4, 16), bracket=bracket, promotion=promotion)


@pytest.mark.parametrize("lag", [0, 1, 2])
@pytest.mark.parametrize("bracket", [2, 4, 5, 8, 9, 12, 17, 20, 25, 60])
def test_no_search_waits_for_ever_however_its_brackets_lie_on_its_batches(bracket, lag):
    for raises in ((40,), (12, 40), (13, 21, 45)):
        play = Play(plan(bracket=bracket), lag=lag)
        for trials in raises:
            slots = play.until(trials)
            assert len(slots) == trials
            assert all(slot.settled for slot in slots)
            assert any(slot.state == "complete" for slot in slots)


@pytest.mark.parametrize("lag", [0, 1])
def test_a_search_on_arrival_goes_on_after_its_first_batches(lag):
    play = Play(plan(bracket=8, asynchronous=True), lag=lag)
    assert len(play.until(40)) == 40
    assert len(play.until(50)) == 50
    assert play.closings == [40, 50], "only the end of a search closes, and no slot waited for a later one"
    states = [slot.state for slot in play.slots]
    assert set(states) == {"complete", "pruned"}
    assert not any(slot.is_control for slot in play.slots)


@pytest.mark.parametrize(("bracket", "lag"), [(8, 1), (8, 0), (12, 0), (20, 1)])
def test_neither_the_workers_nor_their_order_change_what_is_found(bracket, lag):
    played = []
    for workers, seed in itertools.product((1, 2, 5), (0, 1)):
        play = Play(plan(bracket=bracket), lag=lag, workers=workers, seed=seed)
        slots = play.until(40)
        played.append((play.tokens, play.closings, [(slot.state, slot.fate) for slot in slots]))
    assert all(one == played[0] for one in played)


def test_the_best_of_a_large_bracket_still_go_on():
    slots = Play(plan(bracket=60), lag=1).until(60)
    reached = np.array([max(slot.judged) for slot in slots])
    assert (reached >= 1).sum() >= 5
