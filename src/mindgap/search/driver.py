"""The driver: starts worker processes, replaces those that die, and stops them when asked. It holds no state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from mindgap.core.errors import CapacityError, MindgapError, RunError
from mindgap.search.agenda import Target, is_done
from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger
from mindgap.search.slot import MAX_DEATHS, Slot

DRIVER = "driver"  # the ledger's note of the driver's lease
POLL_S = 0.1  # of the worker processes, which costs nothing
LOOK_EVERY_S = 2.0  # at the ledger, which costs some milliseconds
NOTE_EVERY_S = 5.0
END_S = 30.0  # a worker that finds nothing more to do ends by itself in a second or two
MAX_STARTS_IN_VAIN = MAX_DEATHS + 1  # a candidate that kills its workers is given up first
CRASH_SIGNALS = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})
ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    # Freed tensors stay with the process: 1.03 to 1.3 times faster, and free.
    **dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(2**30)),
}


@dataclass
class WorkerProcess:
    """A worker's process and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def close(self) -> None:
        """Waits for the process, which has ended or was told to, and closes the pipe to it."""
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


@dataclass
class Driver:
    """Runs worker processes on a search.

    Attributes:
        run: folder of the search.
        ledger: its ledger.
        workers: how many processes.
        on_change: told the slots whenever they may have changed.
    """

    run: Path
    ledger: Ledger
    workers: int
    on_change: Callable[[list[Slot]], None]
    _processes: dict[int, WorkerProcess] = field(default_factory=dict)
    _in_vain: int = 0
    _progress: int = -1

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
                for number in range(self.workers):
                    self._tend(number)
                self._wait()
                noted = self._note_time(noted)
        except KeyboardInterrupt:
            self._drain()
            raise
        finally:
            self._kill()
            with suppress(CapacityError):
                self._note_time(noted, at_least_s=0.0)

    def _is_done(self) -> bool:
        """Whether nothing is left to do and nobody can have begun something since the ledger was read."""
        return self._nothing_left() and self._let_end() and self._nothing_left()

    def _nothing_left(self) -> bool:
        self.ledger.end_lost()
        slots = self.ledger.slots()
        self.on_change(slots)
        progress = sum(slot.settled + slot.epoch for slot in slots)
        if progress > self._progress:
            self._progress, self._in_vain = progress, 0
        return is_done(slots, Target(**self.ledger.noted("target")))

    def _wait(self) -> None:
        """Until it is time to look at the ledger, or a worker has ended."""
        until = time.monotonic() + LOOK_EVERY_S
        while time.monotonic() < until and all(self._alive()):
            time.sleep(POLL_S)

    def _let_end(self) -> bool:
        """Waits for the workers to see that nothing is left; one that began a candidate meanwhile keeps it."""
        until = time.monotonic() + END_S
        while any(self._alive()):
            if time.monotonic() > until:
                return self._nothing_left()
            time.sleep(POLL_S)
        return True

    def _alive(self) -> list[bool]:
        return [worker.process.poll() is None for worker in self._processes.values()]

    def _tend(self, number: int) -> None:
        worker = self._processes.get(number)
        if worker is not None:
            status = worker.process.poll()
            if status is None:
                return
            self._processes.pop(number).close()
            if status != 0:
                self._note_death(worker, status)
        self._processes[number] = start_worker(self.run, number)

    def _note_death(self, worker: WorkerProcess, status: int) -> None:
        if status == 2:
            raise MindgapError(_last_line(worker.log).removeprefix("error: "))
        crashed = -status in CRASH_SIGNALS
        detail = f"its worker ended with {_name(status)}"
        self.ledger.end_of_process(worker.process.pid, "crashed" if crashed else "lost", detail=detail)
        self._in_vain += 1
        if self._in_vain > MAX_STARTS_IN_VAIN * self.workers:
            raise RunError(f"workers keep dying ({_name(status)}: {_last_line(worker.log)}); see {worker.log}")

    def _note_time(self, noted: float, *, at_least_s: float = NOTE_EVERY_S) -> float:
        now = time.monotonic()
        if now - noted < at_least_s:
            return noted
        self.ledger.note("spent_s", self.ledger.notes().get("spent_s", 0.0) + now - noted)
        return now

    def _drain(self) -> None:
        """Lets the workers finish their epochs; a second Ctrl-C ends the wait."""
        with suppress(KeyboardInterrupt):
            for worker in self._processes.values():
                worker.process.terminate()
            for worker in self._processes.values():
                worker.process.wait()

    def _kill(self) -> None:
        for worker in self._processes.values():
            if worker.process.poll() is None:
                worker.process.kill()
            worker.close()
            with suppress(CapacityError):  # the next driver finds it lost
                self.ledger.end_of_process(worker.process.pid, "parked", detail="the search was stopped")
        self._processes.clear()


@contextmanager
def announced(ledger: Ledger) -> Generator[None]:
    """Tells readers of the ledger, while the block lasts, that this process takes care of the search."""
    ledger.note(DRIVER, Lease.current().model_dump())
    try:
        yield
    finally:
        with suppress(CapacityError):  # a reader then sees that the process is gone
            ledger.note(DRIVER, None)


def start_worker(run: Path, number: int) -> WorkerProcess:
    """Starts one worker process; it ends when this process does."""
    log = run / "workers" / f"{number}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mindgap.search.worker", str(run)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=os.environ | ONE_THREAD,
            process_group=0,  # Ctrl-C in a terminal reaches the driver alone
        )
    return WorkerProcess(process, log)


def _name(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "nothing in its log"
