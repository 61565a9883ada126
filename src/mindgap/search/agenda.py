"""What a worker should do next, as a pure function of the ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from mindgap.core.config import StrictModel
from mindgap.search.reward import Reward
from mindgap.search.searcher import AbstractOrder, Outcome
from mindgap.search.slot import Slot

SLOTS_PER_TRIAL = 4
FREE_SLOTS = 200  # of a search without a number of trials, before it is said that its limits reject too much


class Target(StrictModel):
    """When a search has done enough; may change when it is resumed.

    Attributes:
        trials: candidates to train; a rejected one does not count, but at most four slots per trial are used. Without a
            number at most four slots per trained candidate are used, once there are 200.
        deadline: seconds since the epoch after which no candidate is begun.
        budget_hours: what the deadline was made of.
        end: number of the slot that was the first not to be begun, because it would have ended after the deadline.
    """

    trials: int | None = Field(default=None, ge=1)
    deadline: float | None = None
    budget_hours: float | None = None
    end: int | None = None

    def without_deadline(self) -> Target:
        """The same, however long it takes."""
        return Target(trials=self.trials)

    def wants_more(self, slots: Sequence[Slot]) -> bool:
        """Whether another candidate may be begun.

        Only slots that are already begun decide, so the candidates of a search do not depend on which finish first.
        """
        if self.deadline is not None and time.time() >= self.deadline:
            return False
        if self.end is not None and len(slots) >= self.end:
            return False
        trained = sum(slot.trained for slot in slots)
        if self.trials is None:
            return len(slots) < max(FREE_SLOTS, SLOTS_PER_TRIAL * trained)
        return trained < self.trials and len(slots) < SLOTS_PER_TRIAL * self.trials


@dataclass(frozen=True)
class Job:
    """``resume`` a slot that was left or promoted, ``begin`` a new one, ``wait`` for others, or all is ``done``."""

    kind: Literal["resume", "begin", "wait", "done"]
    slot: int = -1


def next_job(slots: Sequence[Slot], searcher: AbstractOrder, target: Target) -> Job:
    """Left and promoted slots first, then a new one as soon as its past is known, and the control group last."""
    left = [slot for slot in slots if slot.state == "open"]
    promoted = next((slot for slot in left if not slot.is_control), None)
    if promoted is not None:
        return Job("resume", promoted.number)
    if _can_begin(slots, searcher, target):
        return Job("begin", len(slots))
    if left:
        return Job("resume", left[0].number)
    return Job("done") if is_done(slots, target) else Job("wait")


def _can_begin(slots: Sequence[Slot], searcher: AbstractOrder, target: Target) -> bool:
    """Whether another slot is wanted and all that its candidate depends on is known."""
    past = slots[searcher.told : searcher.visible(len(slots))]
    return target.wants_more(slots) and all(slot.outcome is not None for slot in past)


def rung_due(slot: Slot) -> int:
    """The rung that the next attempt at an open slot trains to."""
    return slot.rung if slot.last.result is None else slot.rung + 1


def closing_due(slots: Sequence[Slot], searcher: AbstractOrder, target: Target) -> bool:
    """Whether candidates wait for others that will never come into their bracket.

    The search ends within it, or the next slot depends on what the bracket is still to decide: brackets need not lie on
    the searcher's batches, and do not after a search was closed and is given more. How many slots there are then is a
    function of the ledger, so that the same bracket is closed whoever looks.
    """
    states = {slot.state for slot in slots}
    stuck = "waiting" in states and not states & {"running", "open"}
    return stuck and not _can_begin(slots, searcher, target)


def is_done(slots: Sequence[Slot], target: Target) -> bool:
    """Whether nothing is left to do."""
    return not target.wants_more(slots) and all(slot.settled for slot in slots)


def propose(searcher: AbstractOrder, slots: Sequence[Slot], slot: int, *, reward: Reward) -> tuple[int, ...]:
    """Tells the searcher the outcomes that the slot depends on and asks for its tokens."""
    for known in slots[searcher.told : searcher.visible(slot)]:
        searcher.tell(outcome(known, reward=reward))
    return searcher.ask(slot)


def outcome(slot: Slot, *, reward: Reward) -> Outcome:
    """What the searcher is told of a settled slot; one that was given up has the reward of an infeasible candidate."""
    result = slot.outcome
    if result is None:
        raise ValueError(f"the outcome of slot {slot.number} is not known yet")
    return Outcome(
        slot=slot.number,
        tokens=slot.tokens,
        reward=result.get("reward", reward.infeasible),
        feasible=result.get("feasible", False),
        accuracy=result.get("accuracy"),
        unfairness=result.get("unfairness"),
        macs=result.get("macs"),
    )
