from __future__ import annotations

import time

from mindgap.search.agenda import Target
from mindgap.search.slot import Attempt, Slot
from mindgap.search.status import state_of


def settled(state: str) -> Slot:
    attempt = Attempt(
        number=0, slot=0, attempt=1, tokens=(), finished=True, lease=None, epoch=2,
        ending=None, detail="", result={"state": state, "reward": 0.1}, seconds=1.0,
    )  # fmt: skip
    return Slot((attempt,))


def state(slots: list[Slot], target: Target, *, finished: bool = False, alive: bool = False) -> str:
    return state_of(slots, target, finished=finished, alive=alive)


ENOUGH = Target(trials=1)
LATE = Target(trials=8, deadline=time.time() - 1)


def test_a_search_with_a_trained_candidate_ends_with_its_report():
    assert state([settled("complete")], ENOUGH, finished=True) == "finished"
    assert state([settled("complete")], ENOUGH) == "all candidates are done; the same command writes the report"
    assert state([settled("complete")], ENOUGH, alive=True) == "all candidates are done; auditing"
    assert state([settled("complete")], Target(trials=2)) == "stopped; the same command goes on"
    assert state([settled("complete")], Target(trials=2), alive=True) == "running"


def test_a_search_without_a_trained_candidate_is_promised_no_report():
    failed = [settled("failed")]
    for alive in (False, True):
        said = state(failed, ENOUGH, alive=alive)
        assert said.startswith("no candidate could be trained; the same command ends with the same error")
        assert said.endswith("change the options with --force, or a larger --trials goes on")


def test_a_search_whose_time_was_up_too_early_says_so():
    for slots in ([], [settled("failed")]):
        assert state(slots, LATE) == "the time was up before a candidate was trained; a larger --budget-hours goes on"
