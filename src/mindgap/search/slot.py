"""What the ledger knows of one slot: the attempts on it, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from mindgap.search.lease import Lease

MAX_CRASHES = 2
MAX_DEATHS = 5

Ending = Literal["parked", "lost", "crashed"]
SlotState = Literal["running", "open", "waiting", "complete", "pruned", "rejected", "failed"]


@dataclass(frozen=True)
class Fate:
    """How far a candidate is to be trained, as far as is decided.

    Attributes:
        aim: the rung it is trained to, from 0.
        stop: the rung whose result the searcher is told; it lies below ``aim`` in the control group.
        top: the last rung of the search.
        final: ``aim`` can rise no more.
        told: the result of ``stop``, once it is there, is what the searcher is told.
    """

    aim: int = 0
    stop: int = 0
    top: int = 0
    final: bool = True
    told: bool = True


@dataclass(frozen=True)
class Attempt:
    """One worker's try at a slot.

    Attributes:
        number: of the row in the ledger; the lowest of equal (slot, attempt) is the one that counts.
        slot: number of the candidate.
        attempt: 1 for the first try.
        tokens: the candidate.
        finished: no worker may write to it any more.
        lease: the worker; None for a candidate that was rejected untrained.
        epoch: epochs that are done.
        ending: why an unfinished try ended; None while it runs or when it has a result.
        detail: one line about the ending.
        result: what training found, or why there is none; None before.
        seconds: time it took so far; None while it runs.
        rung: the rung it trains to, from 0.
        teacher_epoch: epochs that it did of the network its mitigation learns from, before its own.
    """

    number: int
    slot: int
    attempt: int
    tokens: tuple[int, ...]
    finished: bool
    lease: Lease | None
    epoch: int
    ending: Ending | None
    detail: str
    result: Mapping[str, Any] | None
    seconds: float | None
    rung: int = 0
    teacher_epoch: int = 0

    @property
    def place(self) -> tuple[int, int, int]:
        """How far it has come: rung, epoch, epoch of its teacher; a larger one is further."""
        return self.rung, self.epoch, self.teacher_epoch


@dataclass(frozen=True)
class Slot:
    """A candidate, all attempts on it, in order, and how far it is to be trained."""

    attempts: tuple[Attempt, ...]
    fate: Fate = Fate()

    @property
    def number(self) -> int:
        """The slot's number, from 0."""
        return self.attempts[0].slot

    @property
    def tokens(self) -> tuple[int, ...]:
        """The candidate."""
        return self.attempts[0].tokens

    @property
    def last(self) -> Attempt:
        """The latest attempt."""
        return self.attempts[-1]

    @property
    def epoch(self) -> int:
        """Number of the last epoch that is done."""
        return max(attempt.epoch for attempt in self.attempts)

    @property
    def teacher_epoch(self) -> int:
        """Number of the last epoch that is done of its teacher; 0 of a mitigation without one."""
        return max(attempt.teacher_epoch for attempt in self.attempts)

    @property
    def rung(self) -> int:
        """The rung it trains to, or last trained to."""
        return self.last.rung

    @cached_property
    def judged(self) -> Mapping[int, Mapping[str, Any]]:
        """What training found, by rung."""
        return {
            attempt.rung: attempt.result
            for attempt in self.attempts
            if attempt.result is not None and attempt.result["state"] == "complete"
        }

    @property
    def result(self) -> Mapping[str, Any]:
        """What the last attempt found; empty without one."""
        return self.last.result or {}

    @cached_property
    def state(self) -> SlotState:
        """``open`` means that any worker may go on with it, ``waiting`` that it is not decided whether one should."""
        if not self.last.finished:
            return "running"
        if self.last.result is None:
            return "failed" if self._given_up() else "open"
        if self.last.result["state"] != "complete":
            return self.last.result["state"]
        if self.rung < self.fate.aim:
            return "open"
        if not self.fate.final:
            return "waiting"
        return "complete" if self.rung == self.fate.top else "pruned"

    @property
    def settled(self) -> bool:
        """No more work is due."""
        return self.state not in {"running", "open", "waiting"}

    @property
    def is_dead(self) -> bool:
        """It ended without the result of its last rung."""
        return self.state in {"rejected", "failed"}

    @property
    def is_control(self) -> bool:
        """It is trained on although it was not promoted."""
        return self.fate.final and self.fate.stop < self.fate.aim and self.fate.stop in self.judged

    @property
    def outcome(self) -> Mapping[str, Any] | None:
        """The result that the searcher is told, empty if it has none; None before it is known."""
        if self.fate.told and self.fate.stop in self.judged:
            return self.judged[self.fate.stop]
        return self.result if self.is_dead else None

    @property
    def trained(self) -> bool:
        """It counts among ``--trials``: it was not rejected, so that its training has at least begun."""
        return self.state != "rejected"

    @property
    def reason(self) -> str | None:
        """Why there is no network, in one line; None if there is one or may yet be."""
        if self.state == "failed" and self.last.result is None:
            return self._given_up()
        return self.result.get("reason")

    @property
    def seconds(self) -> float:
        """Time spent on it, over all finished attempts."""
        return sum(attempt.seconds or 0.0 for attempt in self.attempts)

    def _given_up(self) -> str | None:
        crashes = [attempt for attempt in self.attempts if attempt.ending == "crashed" and attempt.rung == self.rung]
        if len(crashes) >= MAX_CRASHES:
            return f"crashed {len(crashes)} times: {crashes[-1].detail}"
        deaths = self._deaths_in_place()
        if deaths >= MAX_DEATHS:
            return f"its worker died {deaths} times {self._place()}; perhaps it needs more memory"
        return None

    def _place(self) -> str:
        """How far the rung's attempts have come, in words."""
        _, epoch, of_teacher = max(attempt.place for attempt in self.attempts if attempt.rung == self.rung)
        return f"after epoch {of_teacher} of its teacher" if of_teacher and not epoch else f"in epoch {epoch}"

    def _deaths_in_place(self) -> int:
        """Workers lost since the slot last got further; one that got further and then died is the first of them."""
        deaths, reached = 0, (0, 0, 0)
        for attempt in self.attempts:
            if attempt.place > reached:
                deaths, reached = 0, attempt.place
            deaths += attempt.ending == "lost"
        return deaths


def collect(attempts: Iterable[Attempt]) -> list[Slot]:
    """Slots in order; of several rows for the same try, made by workers at the same moment, the first counts."""
    first: dict[tuple[int, int], Attempt] = {}
    for attempt in attempts:
        key = (attempt.slot, attempt.attempt)
        if key not in first or attempt.number < first[key].number:
            first[key] = attempt
    by_slot: dict[int, list[Attempt]] = {}
    for (slot, _), attempt in sorted(first.items()):
        by_slot.setdefault(slot, []).append(attempt)
    return [Slot(tuple(attempts)) for _, attempts in sorted(by_slot.items())]
