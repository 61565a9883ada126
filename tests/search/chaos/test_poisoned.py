"""A candidate that ends its worker every time is retired after two attempts; one that is only unlucky is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from mindgap.search.agenda import Target
from mindgap.search.driver import Driver
from mindgap.search.lease import Lease
from mindgap.search.ledger import GRACE, Ledger, Wanted, create_ledger
from mindgap.search.placement import Assignment, PlacementOptions
from mindgap.search.placements.local import LocalPlacement
from mindgap.search.slot import MAX_DEATHS
from mindgap.search.worker_process import WorkerProcess

TOKENS = (1, 2)


class Deaths(LocalPlacement):
    """Real processes that claim the first candidate that is open and end as they are told; then one trains it."""

    def __init__(self, url, code, *, deaths):
        super().__init__(PlacementOptions())
        self.url, self.code, self.deaths = url, code, deaths

    def start(self, assignment, numbers):
        for number in numbers:
            log = assignment.run / "workers.log"
            code = self.code if self.deaths else "ledger.complete(mine, result={'reward': .5}, values=(.8, .1, 1.0))"
            self.deaths -= 1
            with log.open("ab") as output:
                process = subprocess.Popen(
                    [sys.executable, "-c", WORKER.replace("END", code), self.url],
                    stdin=subprocess.PIPE, stdout=output, stderr=output,
                )  # fmt: skip
            self._processes[number] = WorkerProcess(number, process, Lease.of(process.pid), log)


WORKER = """
import faulthandler, os, signal, sys
from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger, Wanted
ledger = Ledger(sys.argv[1])
slots = ledger.slots()
number, attempt = (0, 1) if not slots else (0, slots[0].last.attempt + 1)
if slots and slots[0].settled:
    sys.exit(0)
mine = ledger.claim(Wanted(number, (1, 2), attempt=attempt), lease=Lease.current())
END
"""


def drive(tmp_path, code, *, deaths, memory_kills=lambda: 0):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    create_ledger(url, {"target": Target(trials=1).model_dump()})
    ledger = Ledger(url)
    placement = Deaths(url, code, deaths=deaths)
    assignment = Assignment(tmp_path)
    Driver(ledger, assignment, placement, workers=1, on_change=lambda _: None, memory_kills=memory_kills).work()
    (slot,) = ledger.slots()
    ledger.close()
    return slot


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
def test_a_candidate_whose_own_code_ends_the_process_is_retired_after_two_attempts(tmp_path, name):
    slot = drive(tmp_path, f"os.kill(os.getpid(), signal.{name})", deaths=9)
    assert (slot.state, len(slot.attempts)) == ("failed", 2)
    assert slot.reason == f"crashed 2 times: its worker ended with {name}"


def test_a_candidate_that_takes_all_memory_twice_is_retired(tmp_path):
    """The kernel's kills look like ``kill -9``, but are counted."""
    kills = iter(range(1000))
    code = "os.kill(os.getpid(), signal.SIGKILL)"
    slot = drive(tmp_path, code, deaths=9, memory_kills=lambda: next(kills))
    assert (slot.state, len(slot.attempts)) == ("failed", 2)
    assert slot.reason == "crashed 2 times: its worker ended with SIGKILL, for want of memory"


def test_kill_9_from_outside_is_not_the_candidates_fault(tmp_path):
    slot = drive(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)", deaths=MAX_DEATHS)
    assert (slot.state, len(slot.attempts)) == ("complete", MAX_DEATHS + 1)
    assert {tried.ending for tried in slot.attempts[:-1]} == {"parked"}


def test_where_nobody_can_tell_what_kills_workers_a_candidate_is_given_up_after_five(tmp_path):
    code = "os.kill(os.getpid(), signal.SIGKILL)"
    slot = drive(tmp_path, code, deaths=99, memory_kills=lambda: None)
    assert (slot.state, len(slot.attempts)) == ("failed", MAX_DEATHS)
    assert slot.reason.startswith(f"its worker died {MAX_DEATHS} times in epoch 0")


def test_a_worker_that_ended_is_first_judged_by_who_started_it(url):
    """Other workers would only see that it is gone, and a crash would count as a death of nobody knows what."""
    create_ledger(url, {GRACE: 1.0})
    ledger = Ledger(url)
    child = subprocess.Popen([sys.executable, "-c", "import os; input(); os.abort()"], stdin=subprocess.PIPE)
    lease = Lease.of(child.pid)
    ledger.claim(Wanted(0, TOKENS), lease=lease)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    ledger.end_lost()
    assert (lease.is_dead(), ledger.slots()[0].state) == (True, "running")
    ledger.end_of_process(lease, "crashed", detail="its worker ended with SIGABRT")
    assert ledger.slots()[0].last.ending == "crashed"
    ledger.claim(Wanted(0, TOKENS, attempt=2), lease=lease)
    until = time.monotonic() + 60
    while ledger.slots()[0].state == "running" and time.monotonic() < until:
        ledger.end_lost()
        time.sleep(0.05)
    assert ledger.slots()[0].last.ending == "lost", "nor for ever, if that one is stopped or does not look"
    child.wait()
    ledger.close()
