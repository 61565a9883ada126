"""A worker that is stopped (SIGSTOP, Ctrl-Z) beyond the grace is given up, and writes nothing when it wakes."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time

import pytest

from mindgap.data.image_store import Store
from mindgap.search.agenda import Target
from mindgap.search.lease import Lease
from mindgap.search.ledger import GRACE, Ledger, LostLeaseError, Wanted, create_ledger
from mindgap.search.ledger_place import ledger_url
from mindgap.search.placement import Assignment
from mindgap.search.trial import StoreCandidates
from mindgap.search.worker_loop import Worker
from mindgap.search.worker_process import start_worker
from mindgap.testing.tiny_store import write_tiny_store

ENOUGH_S = 240


def soon(condition, *, seconds=ENOUGH_S):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it does not happen")


@pytest.fixture
def sleeper():
    """A process that does nothing."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.communicate()


@pytest.fixture
def ledger(url):
    create_ledger(url, {GRACE: 1.0})
    ledger = Ledger(url)
    yield ledger
    ledger.close()


def stop(process):
    process.send_signal(signal.SIGSTOP)
    soon(Lease.of(process.pid).is_stopped)


def look_for(ledger, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until and ledger.slots()[0].state == "running":
        ledger.end_lost()
        time.sleep(0.05)
    return ledger.slots()[0]


def test_the_grace_of_a_search_is_in_its_ledger_and_hearts_beat_four_times_in_it(ledger):
    assert (ledger.grace_s, ledger.heartbeat_s) == (1.0, 0.25)


def test_a_process_is_seen_to_be_stopped_and_to_go_on(sleeper):
    lease = Lease.of(sleeper.pid)
    assert not lease.is_stopped()
    stop(sleeper)
    assert not lease.is_dead()
    sleeper.send_signal(signal.SIGCONT)
    soon(lambda: not lease.is_stopped())
    assert not Lease(host="elsewhere", boot="another", pid=sleeper.pid, started=0.0).is_stopped()


def test_a_worker_stopped_for_longer_than_the_grace_is_given_up_and_fenced(ledger, sleeper):
    mine = ledger.claim(Wanted(0, (1, 2)), lease=Lease.of(sleeper.pid))
    stop(sleeper)
    ledger.end_lost()
    assert ledger.slots()[0].state == "running", "not before the grace is over"
    slot = look_for(ledger, ENOUGH_S)
    assert (slot.state, slot.last.ending, slot.last.detail) == ("open", "parked", "the worker was stopped")
    with pytest.raises(LostLeaseError):
        ledger.epoch_done(mine, 1)


def test_a_worker_that_is_silent_but_runs_is_left_alone_on_its_own_host(ledger, sleeper):
    """As after a night's sleep of the machine."""
    ledger.claim(Wanted(0, (1, 2)), lease=Lease.of(sleeper.pid))
    assert look_for(ledger, 3).state == "running"


def test_a_stop_shorter_than_the_grace_costs_nothing(ledger, sleeper):
    mine = ledger.claim(Wanted(0, (1, 2)), lease=Lease.of(sleeper.pid))
    for _ in range(4):
        stop(sleeper)
        ledger.end_lost()
        sleeper.send_signal(signal.SIGCONT)
        soon(lambda: not Lease.of(sleeper.pid).is_stopped())
        ledger.beat(mine)
        ledger.end_lost()
        time.sleep(0.4)
    assert ledger.slots()[0].state == "running"


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_worker_that_wakes_up_after_another_ended_its_candidate_writes_nothing(plan_of, tmp_path):
    """A real worker is stopped in the middle of training; another trains the same candidate; then the first wakes."""
    store = Store.open(write_tiny_store(tmp_path / "store", n=2000))
    plan, run = plan_of(store, epochs=10, rungs="none"), tmp_path / "run"
    (run / "config.toml").write_text('verb = "search"\n')
    url = ledger_url(run)
    notes = {"plan": plan.model_dump(mode="json"), "target": Target(trials=1).model_dump(), GRACE: 1.0}
    create_ledger(url, notes | {"rungs": plan.rungs.model_dump(mode="json")})
    ledger = Ledger(url)
    zombie = start_worker(Assignment(run), 0)
    try:
        soon(lambda: (slots := ledger.slots()) and slots[0].epoch >= 1)
        zombie.process.send_signal(signal.SIGSTOP)
        slot = look_for(ledger, ENOUGH_S)
        given_away = slot.last
        assert (slot.state, given_away.ending) == ("open", "parked")
        candidates = StoreCandidates(run, plan)
        Worker(ledger, plan.make_searcher(candidates.space), candidates).run()
        (slot,) = ledger.slots()
        assert (slot.state, slot.last.attempt) == ("complete", 2)
        before, notes = hashes(run / "trials" / "0" / "2"), ledger.notes()
        zombie.process.send_signal(signal.SIGCONT)
        assert zombie.process.wait(timeout=ENOUGH_S) == 0
    finally:
        zombie.process.send_signal(signal.SIGCONT)
        zombie.process.kill()
        zombie.end()
    assert "given to another worker meanwhile" in zombie.log.read_text()
    assert hashes(run / "trials" / "0" / "2") == before
    assert ledger.slots() == [slot]
    assert slot.attempts[0] == given_away
    assert ledger.notes() == notes
    assert [tried.result is None for tried in slot.attempts] == [True, False]
    ledger.close()
