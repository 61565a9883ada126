"""The driver: has workers placed, those that die replaced, and all stopped when asked. It holds no state."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from mindgap.core.errors import CapacityError, MindgapError, RunError
from mindgap.search.agenda import Target, is_done
from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger
from mindgap.search.memory_kills import memory_kills
from mindgap.search.placement import AbstractPlacement, Assignment, WorkerEnd
from mindgap.search.slot import MAX_DEATHS, Slot

DRIVER = "driver"  # the ledger's note of the driver's lease
LOOK_EVERY_S = 2.0  # at the ledger, which costs some milliseconds
NOTE_EVERY_S = 5.0
END_S = 30.0  # a worker that finds nothing more to do ends by itself in a second or two
MAX_STARTS_IN_VAIN = MAX_DEATHS + 1  # a candidate that kills its workers is given up first
CRASH_SIGNALS = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})


@dataclass
class Driver:
    """Has workers work on a search.

    Attributes:
        ledger: of the search.
        assignment: what workers are told.
        placement: where they run.
        workers: how many.
        on_change: told the slots whenever they may have changed.
        memory_kills: counts the processes that were killed for want of memory.
    """

    ledger: Ledger
    assignment: Assignment
    placement: AbstractPlacement[Any]
    workers: int
    on_change: Callable[[list[Slot]], None]
    memory_kills: Callable[[], int | None] = memory_kills
    _in_vain: int = 0
    _progress: int = -1
    _memory_kills: int | None = field(init=False)

    def __post_init__(self) -> None:
        self._memory_kills = self.memory_kills()

    def work(self) -> None:
        """Works until the search's target is reached.

        Raises:
            KeyboardInterrupt: Ctrl-C; the candidates in work were parked at the end of their epoch, or, after a second
                one, given back as they were.
            MindgapError: a worker met something that the user has to mend.
        """
        noted = time.monotonic()
        try:
            while not self._is_done():
                self._start_missing()
                self.placement.wait(LOOK_EVERY_S)
                noted = self._note_time(noted)
        except KeyboardInterrupt:
            with suppress(KeyboardInterrupt):  # a second one ends the wait
                self.placement.drain()
            raise
        finally:
            self._stop()
            with suppress(CapacityError):
                self._note_time(noted, at_least_s=0.0)

    def _is_done(self) -> bool:
        """Whether nothing is left to do and nobody can have begun something since the ledger was read."""
        return self._nothing_left() and self._let_end() and self._nothing_left()

    def _nothing_left(self) -> bool:
        self._note_ends()  # before those that are gone are found lost, and nobody knows of what
        self.ledger.end_lost()
        slots = self.ledger.slots()
        self.on_change(slots)
        progress = sum(slot.settled + slot.epoch + slot.teacher_epoch for slot in slots)
        if progress > self._progress:
            self._progress, self._in_vain = progress, 0
        return is_done(slots, Target(**self.ledger.noted("target")))

    def _let_end(self) -> bool:
        """Waits for the workers to see that nothing is left; one that began a candidate meanwhile keeps it."""
        until = time.monotonic() + END_S
        while self.placement.running:
            left_s = until - time.monotonic()
            if left_s <= 0:
                return self._nothing_left()
            self.placement.wait(left_s)
        return True

    def _note_ends(self) -> None:
        starved = self._newly_starved()
        for end in self.placement.ended():
            if end.status != 0:
                here = end.process is not None and end.process.is_here()
                for_memory = here and bool(starved) and end.status == -signal.SIGKILL
                starved = starved - 1 if for_memory and starved else starved
                self._note_death(end, for_memory=for_memory, can_tell=starved is not None)

    def _start_missing(self) -> None:
        missing = [number for number in range(self.workers) if number not in self.placement.running]
        if missing:
            self.placement.start(self.assignment, missing)

    def _newly_starved(self) -> int | None:
        """How many processes were killed for want of memory since this was last asked; None if nobody can tell."""
        before, self._memory_kills = self._memory_kills, self.memory_kills()
        return None if before is None or self._memory_kills is None else self._memory_kills - before

    def _note_death(self, end: WorkerEnd, *, for_memory: bool, can_tell: bool) -> None:
        """A candidate is to blame for what its own code did, and for its memory, but not for ``kill -9`` by others."""
        if end.status == 2:
            raise MindgapError(end.last_line.removeprefix("error: "))
        crashed = for_memory or -end.status in CRASH_SIGNALS
        detail = f"its worker ended with {_name(end.status)}" + (", for want of memory" if for_memory else "")
        if end.process is not None:
            by_others = can_tell and end.process.is_here() and end.status in {-signal.SIGKILL, -signal.SIGTERM}
            ending = "crashed" if crashed else "parked" if by_others else "lost"
            self.ledger.end_of_process(end.process, ending, detail=detail)
        self._in_vain += 1
        if self._in_vain > MAX_STARTS_IN_VAIN * self.workers:
            raise RunError(f"workers keep dying ({_name(end.status)}: {end.last_line}); see {end.log}")

    def _note_time(self, noted: float, *, at_least_s: float = NOTE_EVERY_S) -> float:
        now = time.monotonic()
        if now - noted < at_least_s:
            return noted
        self.ledger.note("spent_s", self.ledger.notes().get("spent_s", 0.0) + now - noted)
        return now

    def _stop(self) -> None:
        for end in self.placement.stop():
            with suppress(CapacityError):  # the next driver finds it lost
                if end.process is not None:
                    self.ledger.end_of_process(end.process, "parked", detail="the search was stopped")


@contextmanager
def announced(ledger: Ledger) -> Generator[None]:
    """Tells readers of the ledger, while the block lasts, that this process takes care of the search."""
    ledger.note(DRIVER, Lease.current().model_dump())
    try:
        yield
    finally:
        with suppress(CapacityError):  # a reader then sees that the process is gone
            ledger.note(DRIVER, None)


def _name(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
