from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger, LostLeaseError, Wanted, create_ledger
from mindgap.search.slot import MAX_CRASHES, MAX_DEATHS

GONE = Lease.current().model_copy(update={"started": 1.0})


@pytest.fixture
def ledger(url):
    create_ledger(url, {})
    ledger = Ledger(url)
    yield ledger
    ledger.close()


def claim(ledger, slot=0, *, attempt=1, lease=None, tokens=(1, 2)):
    return ledger.claim(Wanted(slot, tokens, attempt=attempt), lease=lease or Lease.current())


def test_a_reader_sees_what_a_writer_at_work_has_written(url, ledger):
    ledger.note("plan", 3)
    reader = Ledger(url, read_only=True)
    assert reader.notes() == {"plan": 3}
    reader.close()


def test_notes_are_kept(url, ledger):
    ledger.note("plan", {"seed": 3})
    other = Ledger(url)
    assert other.notes()["plan"] == {"seed": 3}
    other.close()


def test_a_slot_runs_and_completes(ledger):
    mine = claim(ledger)
    assert [slot.state for slot in ledger.slots()] == ["running"]
    ledger.epoch_done(mine, 1)
    ledger.complete(mine, result={"reward": 0.5}, values=(0.8, 0.1, 1e6))
    (slot,) = ledger.slots()
    assert (slot.state, slot.tokens, slot.epoch, slot.result["reward"]) == ("complete", (1, 2), 1, 0.5)
    assert slot.settled
    assert slot.trained


def test_a_rejected_candidate_is_a_record_that_does_not_count_as_trained(ledger):
    ledger.reject(0, (3,), result={"reason": "latency 12 ms > 10 ms", "reward": -1.0})
    (slot,) = ledger.slots()
    assert (slot.state, slot.reason, slot.trained, slot.settled) == ("rejected", "latency 12 ms > 10 ms", False, True)


def test_a_failed_candidate_keeps_its_reason(ledger):
    ledger.fail(claim(ledger), result={"reason": "loss is nan at epoch 3", "reward": -1.0})
    (slot,) = ledger.slots()
    assert (slot.state, slot.reason, slot.trained) == ("failed", "loss is nan at epoch 3", True)


def test_only_the_first_of_two_claims_counts(ledger):
    assert claim(ledger) is not None
    assert claim(ledger) is None
    assert len(ledger.slots()) == 1
    assert len(ledger.slots()[0].attempts) == 1


def test_of_many_simultaneous_claims_exactly_one_wins(url, ledger):
    ready = threading.Barrier(6)

    def attempt(_):
        own = Ledger(url)
        ready.wait()
        won = [claim(own, slot) is not None for slot in range(4)]
        own.close()
        return won

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(attempt, range(6)))
    assert [sum(column) for column in zip(*results, strict=True)] == [1, 1, 1, 1]


def test_a_dead_workers_slot_is_open_again_with_its_tokens_and_epoch(ledger):
    ledger.epoch_done(claim(ledger, lease=GONE), 2)
    assert ledger.slots()[0].state == "running"
    ledger.end_lost()
    (slot,) = ledger.slots()
    assert (slot.state, slot.epoch, slot.last.ending) == ("open", 2, "lost")
    again = claim(ledger, attempt=2, tokens=slot.tokens)
    ledger.complete(again, result={"reward": 0.1}, values=(0.5, 0.1, 1.0))
    (slot,) = ledger.slots()
    assert (slot.state, len(slot.attempts)) == ("complete", 2)


def test_a_living_workers_slot_is_left_alone(ledger):
    claim(ledger)
    ledger.end_lost()
    assert ledger.slots()[0].state == "running"


def test_a_machine_that_slept_finds_its_living_workers_still_at_work(ledger, monkeypatch):
    """After a night all heartbeats are old; the process lives."""
    monkeypatch.setattr(ledger._watch, "grace_s", -1)
    mine = claim(ledger)
    ledger.end_lost()
    assert ledger.slots()[0].state == "running"
    ledger.complete(mine, result={"reward": 0.5}, values=(0.8, 0.1, 1e6))


ELSEWHERE = Lease(host="elsewhere", boot="b", pid=1, started=0.0)


def test_a_silent_worker_elsewhere_is_given_up_after_the_grace_period(url):
    create_ledger(url, {})
    ledger = Ledger(url, grace_s=0.2)
    claim(ledger, lease=ELSEWHERE)
    ledger.end_lost()
    assert ledger.slots()[0].state == "running", "nobody is judged at first sight"
    until = time.monotonic() + 60
    while ledger.slots()[0].state == "running" and time.monotonic() < until:
        time.sleep(0.05)
        ledger.end_lost()
    assert ledger.slots()[0].last.ending == "lost"
    ledger.close()


def test_a_worker_elsewhere_that_beats_is_left_alone(url):
    create_ledger(url, {})
    ledger = Ledger(url, grace_s=1.0)
    mine = claim(ledger, lease=ELSEWHERE)
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        ledger.beat(mine)
        ledger.end_lost()
        time.sleep(0.02)
    assert ledger.slots()[0].state == "running"
    ledger.close()


def test_another_boot_of_a_host_of_this_name_is_dead_only_where_the_ledger_is_this_machines(url):
    """On a server it may be another machine of the same name: only silence tells."""
    create_ledger(url, {})
    ledger = Ledger(url)
    claim(ledger, lease=Lease.current().model_copy(update={"boot": "another"}))
    ledger.end_lost()
    assert ledger.slots()[0].state == ("open" if url.startswith("sqlite") else "running")
    ledger.close()


@pytest.mark.parametrize(
    "write",
    [
        lambda ledger, mine: ledger.epoch_done(mine, 1),
        lambda ledger, mine: ledger.complete(mine, result={}, values=(0.0, 0.0, 0.0)),
        lambda ledger, mine: ledger.fail(mine, result={}),
    ],
)
def test_a_worker_left_for_dead_can_write_nothing_more(ledger, write):
    mine = claim(ledger)
    ledger.end(mine.row, "lost")
    with pytest.raises(LostLeaseError):
        write(ledger, mine)
    assert ledger.slots()[0].state == "open"


def test_ending_twice_changes_nothing(ledger):
    mine = claim(ledger)
    ledger.end(mine.row, "parked", detail="first")
    ledger.end(mine.row, "lost", detail="second")
    assert (ledger.slots()[0].last.ending, ledger.slots()[0].last.detail) == ("parked", "first")


def test_a_candidate_that_crashes_twice_has_failed(ledger):
    for attempt in range(1, MAX_CRASHES + 1):
        ledger.end(claim(ledger, attempt=attempt).row, "crashed", detail="ValueError: odd")
    (slot,) = ledger.slots()
    assert (slot.state, slot.reason) == ("failed", "crashed 2 times: ValueError: odd")


def test_parking_never_retires_a_candidate(ledger):
    for attempt in range(1, 9):
        ledger.end(claim(ledger, attempt=attempt).row, "parked")
    assert ledger.slots()[0].state == "open"


def test_a_candidate_whose_workers_die_again_and_again_without_an_epoch_has_failed(ledger):
    for attempt in range(1, MAX_DEATHS + 1):
        assert all(slot.state == "open" for slot in ledger.slots())
        ledger.end(claim(ledger, attempt=attempt).row, "lost")
    assert ledger.slots()[0].state == "failed"
    assert "died 5 times in epoch 0" in ledger.slots()[0].reason


def test_deaths_after_some_epochs_retire_it_as_well(ledger):
    first = claim(ledger)
    ledger.epoch_done(first, 3)
    ledger.end(first.row, "lost")
    for attempt in range(2, MAX_DEATHS + 1):
        assert ledger.slots()[0].state == "open"
        ledger.end(claim(ledger, attempt=attempt).row, "lost")
    assert ledger.slots()[0].state == "failed"
    assert "died 5 times in epoch 3" in ledger.slots()[0].reason


def test_deaths_between_which_epochs_were_done_do_not_retire_it(ledger):
    for attempt in range(1, 9):
        mine = claim(ledger, attempt=attempt)
        ledger.epoch_done(mine, attempt)
        ledger.end(mine.row, "lost")
    assert ledger.slots()[0].state == "open"


def test_deaths_between_which_its_teacher_got_further_do_not_retire_it(ledger):
    for attempt in range(1, 9):
        mine = claim(ledger, attempt=attempt)
        ledger.epoch_done(mine, attempt, of_teacher=True)
        ledger.end(mine.row, "lost")
    (slot,) = ledger.slots()
    assert (slot.state, slot.epoch, slot.teacher_epoch) == ("open", 0, 8)


def test_deaths_after_its_teachers_last_epoch_retire_it(ledger):
    first = claim(ledger)
    ledger.epoch_done(first, 3, of_teacher=True)
    ledger.end(first.row, "lost")
    for attempt in range(2, MAX_DEATHS + 1):
        assert ledger.slots()[0].state == "open"
        ledger.end(claim(ledger, attempt=attempt).row, "lost")
    assert "died 5 times after epoch 3 of its teacher" in ledger.slots()[0].reason


def test_an_epoch_of_its_own_is_further_than_any_of_its_teacher(ledger):
    for attempt in range(1, MAX_DEATHS):
        mine = claim(ledger, attempt=attempt)
        ledger.epoch_done(mine, 20, of_teacher=True)
        ledger.end(mine.row, "lost")
    mine = claim(ledger, attempt=MAX_DEATHS)
    ledger.epoch_done(mine, 1)
    ledger.end(mine.row, "lost")
    assert ledger.slots()[0].state == "open"


def test_a_worker_left_for_dead_is_told_so_at_an_epoch_of_its_teacher(ledger):
    mine = claim(ledger)
    ledger.end(mine.row, "lost")
    with pytest.raises(LostLeaseError):
        ledger.epoch_done(mine, 1, of_teacher=True)


def test_the_end_of_a_known_process_ends_its_attempt(ledger):
    mine = Lease.current()
    claim(ledger, lease=mine)
    ledger.end_of_process(mine.model_copy(update={"pid": mine.pid + 1}), "crashed", detail="signal 11")
    assert ledger.slots()[0].state == "running"
    ledger.end_of_process(mine, "crashed", detail="signal 11")
    assert ledger.slots()[0].last.detail == "signal 11"
