"""A worker: takes what the ledger has to do, until nothing is left."""

from __future__ import annotations

import logging
import random
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from mindgap.core.errors import CapacityError, OutOfMemoryFailure, TrainingFailure
from mindgap.search.agenda import Target, closing_due, next_job, propose, rung_due
from mindgap.search.claim import Noted
from mindgap.search.lease import Lease
from mindgap.search.ledger import Claim, Ledger, LostLeaseError, Wanted
from mindgap.search.reward import Reward
from mindgap.search.searcher import AbstractOrder
from mindgap.search.slot import Slot

if TYPE_CHECKING:
    from mindgap.search.searcher_snapshot import SearcherSnapshot  # which needs torch

log = logging.getLogger(__name__)
SHORTEST_POLL_S = 0.1
LONGEST_POLL_S = 1.0
SHORTEST_LOST_S = 0.05
LONGEST_LOST_S = 5.0
MOST_DOUBLINGS = 10


class ParkedError(Exception):
    """The worker was asked to stop; the attempt's last epoch is checkpointed."""


@dataclass(frozen=True)
class Trained:
    """What a candidate's training found: the record, and accuracy, unfairness and multiply-accumulates."""

    record: Mapping[str, Any]
    values: tuple[float, float, float]


class EpochDone(Protocol):
    """Is told of every epoch that is done, before it is checkpointed."""

    def __call__(self, epoch: int, *, of_teacher: bool = False) -> None:
        """``epoch`` counts from 1; ``of_teacher`` says that it was of the network that a mitigation learns from."""
        ...


class Candidates(Protocol):
    """What is searched: tells which candidates are not worth training, and trains the others."""

    reward: Reward

    def rejection(self, tokens: tuple[int, ...]) -> Mapping[str, Any] | None:
        """Why it is not trained, with its reward; None if it is."""
        ...

    def train(self, claim: Claim, *, epoch_done: EpochDone, between: Callable[[], None]) -> Trained:
        """Trains it, resuming from an earlier attempt's checkpoint.

        ``epoch_done`` is called when an epoch is done, before it is checkpointed, ``between`` before an epoch begins;
        those of a teacher included. Both may raise to stop.

        Raises:
            TrainingFailure: it cannot be trained; ``spent`` says what that took.
        """
        ...

    def keep_error(self, claim: Claim, text: str) -> None:
        """Keeps the traceback of an attempt that crashed, where the user finds it."""
        ...

    def settle(self, claim: Claim) -> None:
        """Removes what nobody needs who goes on with the candidate; called when its result is in the ledger."""
        ...


def _always(tokens: tuple[int, ...], slots: Sequence[Slot], deadline: float) -> bool:  # noqa: ARG001  (see Worker.fits)
    return True


def _go_on(slot: Slot) -> Wanted:
    """The next attempt at an open slot."""
    return Wanted(slot.number, slot.tokens, attempt=slot.last.attempt + 1, rung=rung_due(slot))


@dataclass
class Worker:
    """Claims attempts and trains them.

    Attributes:
        ledger: the search's ledger.
        searcher: proposes new candidates.
        candidates: what is searched.
        stop: set from outside to park the attempt at the end of its epoch.
        fits: whether a new candidate, besides the slots that are there, will end before a deadline (seconds since the
            epoch).
        snapshot: where the state of the searcher is kept, for workers that start later; None keeps none.
    """

    ledger: Ledger
    searcher: AbstractOrder
    candidates: Candidates
    stop: threading.Event = field(default_factory=threading.Event)
    fits: Callable[[tuple[int, ...], Sequence[Slot], float], bool] = _always
    snapshot: SearcherSnapshot | None = None
    current: Claim | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _lost: int = 0

    def run(self) -> None:
        """Works until all is done or ``stop`` is set."""
        heart = threading.Thread(target=self._beat, daemon=True)
        heart.start()
        try:
            self._work_until_done()
        finally:
            self._over.set()
            heart.join()

    def _work_until_done(self) -> None:
        poll_s = SHORTEST_POLL_S
        while not self.stop.is_set():
            did = self._step()
            if did == "done":
                return
            poll_s = SHORTEST_POLL_S if did == "worked" else min(LONGEST_POLL_S, 1.5 * poll_s)
            if did == "wait":
                self.stop.wait(poll_s * random.uniform(0.5, 1.0))

    def _step(self) -> str:
        self.ledger.end_lost()
        slots, target = self.ledger.slots(), Target(**self.ledger.noted("target"))
        if closing_due(slots, self.searcher, target):
            self.ledger.close_bracket(len(slots))
            return "worked"
        job = next_job(slots, self.searcher, target)
        if job.kind in {"wait", "done"}:
            return job.kind
        if job.kind == "resume":
            left = slots[job.slot]
            self._work(_go_on(left), target)
            return "worked"
        self._begin(job.slot, slots, target)
        return "worked"

    def _begin(self, slot: int, slots: Sequence[Slot], target: Target) -> None:
        """Begins a new candidate, rejects it, or ends the search before it because it would take too long."""
        tokens = self._propose(slot, slots)
        rejection = self.candidates.rejection(tokens)
        if rejection is not None:
            self.ledger.reject(slot, tokens, result=rejection)
            self._lost = 0
        elif target.deadline is not None and not self.fits(tokens, slots, target.deadline):
            log.info("slot %d would end after the deadline: no candidate is begun any more", slot)
            if Target(**self.ledger.noted("target")) == target:  # else the user has just set another
                self.ledger.note("target", target.model_copy(update={"end": slot}).model_dump())
        else:
            self._work(Wanted(slot, tokens), target)

    def _propose(self, slot: int, slots: Sequence[Slot]) -> tuple[int, ...]:
        """The slot's candidate; what the searcher has to be told for it may come from the snapshot, and goes there."""
        past, reward = slots[: self.searcher.visible(slot)], self.candidates.reward
        if self.snapshot is not None:
            self.snapshot.restore(self.searcher, past, reward=reward)
        tokens = propose(self.searcher, slots, slot, reward=reward)
        if self.snapshot is not None:
            self.snapshot.keep(self.searcher, past, reward=reward)
        return tokens

    def _instead(self, slots: Sequence[Slot], noted: Noted) -> Wanted | None:
        """What to work at as another has taken what was wanted, if that is quickly found: all others wait meanwhile."""
        target = Target(**noted("target"))
        if self.stop.is_set() or closing_due(slots, self.searcher, target):
            return None
        job = next_job(slots, self.searcher, target)
        if job.kind == "resume":
            return _go_on(slots[job.slot])
        if job.kind != "begin" or target.deadline is not None or self.searcher.told < self.searcher.visible(job.slot):
            return None
        tokens = self.searcher.ask(job.slot)
        return Wanted(job.slot, tokens) if self.candidates.rejection(tokens) is None else None

    def _work(self, wanted: Wanted, target: Target) -> None:
        instead = self._instead if target.deadline is None else None  # whose forecasts take too long to queue for
        claim = self.ledger.claim(wanted, lease=Lease.current(), instead=instead)
        if claim is None:
            self._lost = min(self._lost + 1, MOST_DOUBLINGS)
            most_s = min(LONGEST_LOST_S, SHORTEST_LOST_S * 2**self._lost)
            self.stop.wait(random.uniform(0.0, most_s))  # hundreds that want the next slot spread out
            return
        self._lost = 0
        log.info("slot %d, attempt %d, rung %d: begun", claim.slot, claim.attempt, claim.rung)
        self.current = claim
        try:
            self._train(claim)
        except LostLeaseError:
            log.warning("slot %d, attempt %d: given to another worker meanwhile", claim.slot, claim.attempt)
        finally:
            self.current = None

    def _train(self, claim: Claim) -> None:
        try:
            done = partial(self.ledger.epoch_done, claim)
            trained = self.candidates.train(claim, epoch_done=done, between=self._between)
            self.ledger.complete(claim, result=trained.record, values=trained.values)
            self.candidates.settle(claim)
        except LostLeaseError:
            raise
        except ParkedError:
            self.ledger.end(claim.row, "parked", detail="the search was stopped")
        except OutOfMemoryFailure as failure:
            self.ledger.end(claim.row, "crashed", detail=failure.reason)
        except TrainingFailure as failure:
            record = {"reason": failure.reason, "reward": self.candidates.reward.infeasible, **failure.spent}
            self.ledger.fail(claim, result=record)
            self.candidates.settle(claim)
        except (CapacityError, KeyboardInterrupt):
            with suppress(CapacityError):  # perhaps it was the ledger that could not be written
                self.ledger.end(claim.row, "parked", detail="the worker could not go on")
            raise
        except Exception as error:  # noqa: BLE001  (any other error is the candidate's own; twice ends it)
            self._crashed(claim, error)
        log.info("slot %d, attempt %d: ended", claim.slot, claim.attempt)

    def _between(self) -> None:
        if self.stop.is_set():
            raise ParkedError

    def _crashed(self, claim: Claim, error: Exception) -> None:
        text = "".join(traceback.format_exception(error))
        log.error("slot %d, attempt %d: crashed\n%s", claim.slot, claim.attempt, text)
        with suppress(CapacityError):  # it is in this worker's log; that the candidate crashed must be told anyway
            self.candidates.keep_error(claim, text)
        first = (str(error).splitlines() or [""])[0]
        self.ledger.end(claim.row, "crashed", detail=f"{type(error).__name__}: {first}")

    def _beat(self) -> None:
        while not self._over.wait(self.ledger.heartbeat_s):
            claim = self.current
            if claim is not None:
                self.ledger.beat(claim)
