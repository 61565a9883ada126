"""Chaos: strikes a search's processes at random, starts it again, and says which of its promises were broken.

    storm = Storm(command, run, seed=3, strikes=40, trials=60)
    storm.rage()
    assert broken_promises(run, undisturbed) + storm.broken == []

``command`` is ``mindgap search ...`` with all options but ``--workers``, whatever the placement and the ledger: workers
are found by their leases in the ledger, and as children of the driver.
"""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

import psutil

from mindgap.core.errors import MindgapError
from mindgap.search.ledger import Ledger
from mindgap.search.ledger_place import has_ledger, ledger_url
from mindgap.search.slot import Attempt, Slot
from mindgap.search.status import search_status

Kind = Literal["kill worker", "pause worker", "hold worker", "kill driver", "pause driver"]
KINDS: Mapping[Kind, int] = {"kill worker": 9, "pause worker": 3, "hold worker": 3, "kill driver": 4, "pause driver": 2}
WORKER = "mindgap.search.worker"
ENOUGH_S = 300.0  # for anything that must happen, on a busy machine


@dataclass(frozen=True)
class Held:
    """An attempt whose worker was stopped until it was given to another, as it stood then."""

    slot: int
    attempt: int
    epoch: int
    ending: str


@dataclass
class Storm:
    """Kills and stops workers and driver of one search until enough was struck, then lets it end.

    Attributes:
        command: starts the search, or goes on with it; ``--workers`` is added.
        run: folder of the search.
        seed: of what is struck when; what is struck depends on what runs as well.
        strikes: how many.
        trials: candidates of the search; strikes fall all over it, and faster where it is ahead of them.
        workers: numbers of workers to choose from at each start.
        pause_s: longest time between a worker's being at work and the next strike.
        stopped_s: longest time that a paused process is stopped.
        plan: kinds of strikes in order; empty draws each from ``KINDS``, with its weights.
    """

    command: Sequence[str]
    run: Path
    seed: int
    strikes: int
    trials: int
    workers: tuple[int, ...] = (2, 3)
    pause_s: float = 1.0
    stopped_s: float = 1.5
    plan: Sequence[Kind] = ()
    struck: Counter[Kind] = field(default_factory=Counter)
    held: list[Held] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    starts: int = 0
    _driver: subprocess.Popen[bytes] | None = None
    _seen: set[psutil.Process] = field(default_factory=set)

    def rage(self) -> None:
        """Strikes, then waits for the search's end; what went wrong meanwhile is in ``broken``.

        Raises:
            AssertionError: the search does not get on.
        """
        draw, over = random.Random(self.seed), threading.Event()
        status = threading.Thread(target=self._watch_status, args=(over,), daemon=True)
        status.start()
        self.run.parent.mkdir(parents=True, exist_ok=True)
        with self.run.with_name(f"{self.run.name}.driver.log").open("ab") as log:
            try:
                while self.struck.total() < self.strikes and self._wait_for_work(log, draw):
                    self._pause(draw.uniform(0, self.pause_s))
                    self._strike(draw)
                self._let_end(log, draw)
            finally:
                self._end_all()
                over.set()
                status.join()
        self.broken += [f"worker {process.pid} outlived its search" for process in self._seen if not _gone(process)]
        self.broken += self._zombie_writes()

    @property
    def summary(self) -> str:
        """What was done, for the message of a failure."""
        struck = dict(self.struck)
        return f"seed {self.seed}, {self.starts} starts, struck: {struck}, given away: {len(self.held)}; see {self.run}"

    def slots(self) -> list[Slot]:
        """What the ledger knows; nothing before there is one."""
        if not has_ledger(self.run):
            return []
        with suppress(MindgapError):  # between its folder and its ledger
            return read_slots(self.run)
        return []

    def _start(self, log: IO[bytes], draw: random.Random) -> None:
        workers = draw.choice(self.workers)
        command = [*self.command, "--workers", str(workers)]
        self._driver = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.starts += 1

    def _lives(self) -> bool:
        """Whether the driver runs; one that ended with an error ends the storm."""
        if self._driver is None:
            return False
        status = self._driver.poll()
        if status is not None and status not in {0, -signal.SIGKILL}:
            raise AssertionError(f"the search ended with status {status}: {_tail(self.run)}; {self.summary}")
        return status is None

    def _is_over(self) -> bool:
        return self._driver is not None and self._driver.poll() == 0

    def _wait_for_work(self, log: IO[bytes], draw: random.Random) -> bool:
        """Waits until a worker has something in work; False if the search has ended."""
        until = time.monotonic() + ENOUGH_S
        while time.monotonic() < until:
            if self._is_over():
                return False
            if not self._lives():
                self._start(log, draw)
            if self._at_work():
                return True
            time.sleep(0.05)
        raise AssertionError(f"nobody is at work for {ENOUGH_S:g} s; {self.summary}")

    def _let_end(self, log: IO[bytes], draw: random.Random) -> None:
        until = time.monotonic() + ENOUGH_S
        while not self._is_over():
            if not self._lives():
                self._start(log, draw)
            if time.monotonic() > until:
                raise AssertionError(f"the search does not end; {self.summary}")
            time.sleep(0.2)

    def _watch_status(self, over: threading.Event) -> None:
        """The progress can be read at any moment once there is a ledger."""
        while not over.wait(0.2):
            try:
                if self.slots():
                    search_status(self.run)
            except Exception as error:  # noqa: BLE001  (whatever it is, it is not to happen)
                self.broken.append(f"--status failed with {error!r}")

    def _at_work(self) -> list[tuple[psutil.Process, Attempt]]:
        """Processes that have an attempt in work, and the attempts."""
        found: list[tuple[psutil.Process, Attempt]] = []
        for slot in self.slots():
            lease = slot.last.lease
            if slot.state == "running" and lease is not None and not lease.is_dead():
                with suppress(psutil.Error):
                    found.append((psutil.Process(lease.pid), slot.last))
        self._seen.update(process for process, _ in found)
        return found

    def _workers(self) -> list[psutil.Process]:
        """Workers at work, and those that begin or wait."""
        found = {process for process, _ in self._at_work()}
        if self._driver is not None:
            with suppress(psutil.Error):
                children = psutil.Process(self._driver.pid).children(recursive=True)
                found.update(child for child in children if WORKER in child.cmdline())
        self._seen.update(found)
        return sorted(found, key=lambda process: process.pid)

    def _pause(self, seconds: float) -> None:
        """Waits, unless more of the search is done than of the strikes."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if sum(slot.settled for slot in self.slots()) * self.strikes > self.struck.total() * self.trials:
                return
            time.sleep(0.05)

    def _strike(self, draw: random.Random) -> None:
        kind = draw.choices(list(KINDS), weights=list(KINDS.values()))[0]
        if self.plan:
            kind = self.plan[self.struck.total()]
        wanted = draw.random()
        if kind == "hold worker":
            done = self._hold(wanted)
        elif kind.endswith("driver"):
            done = self._driver is not None and self._hit(psutil.Process(self._driver.pid), kind, draw)
        else:
            workers = self._workers()
            done = bool(workers) and self._hit(workers[int(wanted * len(workers))], kind, draw)
        self.struck[kind] += done

    def _hit(self, process: psutil.Process, kind: Kind, draw: random.Random) -> bool:
        """Kills a process, or stops it for a while; False if it was gone already."""
        try:
            if kind.startswith("kill"):
                process.kill()
                return True
            process.suspend()
            time.sleep(draw.uniform(0, self.stopped_s))
            process.resume()
        except psutil.NoSuchProcess:
            return False
        return True

    def _hold(self, wanted: float) -> bool:
        """Stops a worker until its attempt has been given to another, and lets it go on then."""
        at_work = self._at_work()
        if not at_work:
            return False
        process, attempt = at_work[int(wanted * len(at_work))]
        with suppress(psutil.NoSuchProcess):
            process.suspend()
            try:
                self._wait_until_given_away(attempt)
            finally:
                process.resume()
            return True
        return False

    def _wait_until_given_away(self, attempt: Attempt) -> None:
        """Waits for another attempt at the slot; not for ever: a stopped process may keep a file's lock."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            slot = next(slot for slot in self.slots() if slot.number == attempt.slot)
            mine = next(tried for tried in slot.attempts if tried.attempt == attempt.attempt)
            if mine.finished:
                known = {(held.slot, held.attempt) for held in self.held}
                if mine.ending is not None and (mine.slot, mine.attempt) not in known:
                    self.held.append(Held(mine.slot, mine.attempt, mine.epoch, mine.ending))
                if slot.last.attempt > mine.attempt or mine.ending is None:
                    return
            if self._driver is None or self._driver.poll() is not None:
                return
            time.sleep(0.1)

    def _zombie_writes(self) -> list[str]:
        """Attempts that were given away and changed in the ledger afterwards."""
        tries = {(tried.slot, tried.attempt): tried for slot in self.slots() for tried in slot.attempts}
        changed = []
        for held in self.held:
            now = tries[held.slot, held.attempt]
            if (now.ending, now.epoch, now.result) != (held.ending, held.epoch, None):
                changed.append(f"slot {held.slot}, attempt {held.attempt} was given away and wrote afterwards: {now}")
        return changed

    def _end_all(self) -> None:
        """Kills what is left of the driver and lets stopped workers find that it is gone."""
        if self._driver is not None and self._driver.poll() is None:
            self._driver.kill()
        for process in self._seen:
            with suppress(psutil.Error):
                process.resume()


def read_slots(run: Path) -> list[Slot]:
    """What the ledger of a run knows, slot by slot."""
    ledger = Ledger(ledger_url(run), read_only=True)
    try:
        return ledger.slots()
    finally:
        ledger.close()


def _gone(process: psutil.Process, *, seconds: float = 30) -> bool:
    """Whether it ends within a while; a zombie has ended."""
    until = time.monotonic() + seconds
    with suppress(psutil.NoSuchProcess):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
    return True


def _tail(run: Path) -> str:
    text = run.with_name(f"{run.name}.driver.log").read_text(encoding="utf-8", errors="replace")
    return " | ".join(text.splitlines()[-3:])
