"""A database server that goes away and comes back."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from mindgap.core.errors import CapacityError
from mindgap.search import ledger_rows as rows
from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger, LostLeaseError, Wanted, create_ledger
from mindgap.testing.postgres_server import PostgresServer, postgres_binaries


@pytest.fixture(scope="module")
def server():
    """A server that these tests may stop."""
    if postgres_binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with PostgresServer.start() as server:
        yield server


def test_a_server_that_restarts_in_the_middle_loses_nothing(request, server):
    url = server.url("ledger", study=request.node.name)
    create_ledger(url, {"target": 1})
    done, errors = threading.Semaphore(0), []

    def work() -> None:
        ledger = Ledger(url)
        try:
            for slot in range(24):
                claim = ledger.claim(Wanted(slot, (slot,)), lease=Lease.current())
                ledger.beat(claim)
                ledger.epoch_done(claim, 1)
                assert ledger.noted("target") == 1
                assert ledger.slots()[-1].state == "running"
                ledger.complete(claim, result={"reward": slot}, values=(0.5, 0.1, 1.0))
                done.release()
        except BaseException as error:  # noqa: BLE001  (shown by the test)
            errors.append(error)
        finally:
            ledger.close()

    worker = threading.Thread(target=work)
    worker.start()
    for _ in range(5):
        for _ in range(4):
            assert done.acquire(timeout=120)
        server.restart()
    worker.join(timeout=120)
    ledger = Ledger(url)
    slots = ledger.slots()
    ledger.close()
    assert errors == []
    assert [slot.number for slot in slots] == list(range(24))
    assert all(slot.state == "complete" and len(slot.attempts) == 1 for slot in slots)
    assert [slot.result["reward"] for slot in slots] == list(range(24))


def test_a_server_that_stays_away_is_one_line_without_the_password(request, server):
    url = server.url("ledger", study=request.node.name).replace("mindgap@", "mindgap:secret@")
    create_ledger(url, {})
    ledger = Ledger(url, patience_s=0.5)
    claim = ledger.claim(Wanted(0, (1,)), lease=Lease.current())
    server.stop()
    for action, word in [
        (lambda: ledger.epoch_done(claim, 1), "written"),
        (ledger.slots, "read"),
        (lambda: ledger.end(claim.row, "parked"), "written"),
        (ledger.end_lost, "read"),
    ]:
        with pytest.raises(CapacityError, match=f"the ledger cannot be {word} .*see that the server of") as error:
            action()
        assert "\n" not in str(error.value)
        assert "secret" not in str(error.value)
    ledger.beat(claim)  # is made up by the next
    server.run()
    ledger.epoch_done(claim, 1)
    assert ledger.slots()[0].epoch == 1
    ledger.close()


def break_at_commit(ledger, server, monkeypatch, *, then=None):
    """Breaks the connection after the next commit, once while the list that it returns is empty."""
    dialect, broke = ledger._database._engine.dialect, []
    original = dialect.do_commit

    def commit_and_break(connection):
        original(connection)
        if not broke:
            broke.append(True)
            server.restart()
            if then is not None:
                then()
            connection.execute("SELECT 1")

    monkeypatch.setattr(dialect, "do_commit", commit_and_break)
    return broke


def test_a_claim_whose_confirmation_was_lost_is_still_the_claimers(request, server, monkeypatch):
    """The server committed and the connection broke: the second try finds its own row and takes no other for it."""
    url = server.url("ledger", study=request.node.name)
    create_ledger(url, {})
    ledger, other = Ledger(url), Ledger(url)
    broke = break_at_commit(ledger, server, monkeypatch)
    claim = ledger.claim(Wanted(0, (1,)), lease=Lease.current())
    assert broke
    assert claim is not None
    broke.clear()
    ledger.complete(claim, result={"reward": 0.5}, values=(0.5, 0.1, 1.0))
    assert broke
    assert other.claim(Wanted(0, (2,)), lease=Lease.current()) is None
    assert [(slot.state, len(slot.attempts)) for slot in other.slots()] == [("complete", 1)]
    ledger.close()
    other.close()


def test_what_was_taken_instead_is_taken_once_though_its_confirmation_was_lost(request, server, monkeypatch):
    url = server.url("ledger", study=request.node.name)
    create_ledger(url, {})
    ledger, other = Ledger(url), Ledger(url)
    assert other.claim(Wanted(0, (1,)), lease=Lease.current()) is not None
    broke = break_at_commit(ledger, server, monkeypatch)
    claim = ledger.claim(Wanted(0, (2,)), lease=Lease.current(), instead=lambda slots, _: Wanted(len(slots), (3,)))
    assert broke
    assert (claim.slot, claim.tokens) == (1, (3,))
    assert [slot.tokens for slot in other.slots()] == [(1,), (3,)]
    ledger.close()
    other.close()


def test_what_was_taken_and_ended_by_others_before_that_was_confirmed_is_not_taken_again(request, server, monkeypatch):
    url = server.url("ledger", study=request.node.name)
    create_ledger(url, {})
    ledger, other = Ledger(url), Ledger(url)
    assert other.claim(Wanted(0, (1,)), lease=Lease.current()) is not None
    broke = break_at_commit(
        ledger, server, monkeypatch, then=lambda: other.end_of_process(Lease.current(), "lost", detail="killed")
    )
    claim = ledger.claim(Wanted(0, (2,)), lease=Lease.current(), instead=lambda slots, _: Wanted(len(slots), (3,)))
    assert broke
    assert (claim.slot, claim.tokens) == (1, (3,))
    assert [len(slot.attempts) for slot in other.slots()] == [1, 1]
    with pytest.raises(LostLeaseError):
        ledger.epoch_done(claim, 1)
    ledger.close()
    other.close()


WAITER = """
import sys
from mindgap.search import ledger_storage
from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger, Wanted

ledger_storage._SESSION = ledger_storage._SESSION.replace("60s", "2s")
ledger = Ledger(sys.argv[1])
print("ready", flush=True)
ledger.claim(Wanted(0, (1,)), lease=Lease.current(), instead=lambda slots, _: Wanted(len(slots), (2,)))
"""


def test_processes_stopped_while_they_queue_hold_up_nobody_one_after_the_other(request, server):
    url = server.url("ledger", study=request.node.name)
    create_ledger(url, {})
    ledger = Ledger(url)
    command = [sys.executable, "-c", WAITER, url]
    waiters = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    with ledger._database._engine.connect() as holder, holder.begin():
        rows.lock_study(holder, ledger._study)
        assert [waiter.stdout.readline() for waiter in waiters] == ["ready\n"] * 3
        queued = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if ledger._database.reading(lambda connection: connection.exec_driver_sql(queued).scalar()) == 3:
                break
        else:
            raise AssertionError("they do not queue")
        for waiter in waiters:
            waiter.send_signal(signal.SIGSTOP)
        time.sleep(3)
    begin = time.monotonic()
    assert ledger.claim(Wanted(0, (5,)), lease=Lease.current()) is not None
    took = time.monotonic() - begin
    for waiter in waiters:
        waiter.kill()
        waiter.communicate()
    ledger.close()
    assert took < 1.5, "they left the queue together, while the lock was held"


def test_who_has_nothing_else_to_take_does_not_queue(request, server):
    url = server.url("ledger", study=request.node.name)
    create_ledger(url, {})
    ledger, other = Ledger(url), Ledger(url)
    assert other.claim(Wanted(0, (1,)), lease=Lease.current()) is not None
    with other._database._engine.connect() as holder, holder.begin():
        rows.lock_study(holder, other._study)
        assert ledger.claim(Wanted(0, (2,)), lease=Lease.current()) is None
        ledger.reject(0, (3,), result={"reason": "no", "reward": -1.0})
        ledger.note("target", 5)  # nor are facts held up
    assert ledger.claim(Wanted(1, (2,)), lease=Lease.current()) is not None
    ledger.close()
    other.close()


def test_a_process_stopped_in_a_transaction_does_not_hold_up_the_others_for_good(request, server):
    url = server.url("ledger", study=request.node.name)
    create_ledger(url, {})
    ledger = Ledger(url)
    found = ledger._database.reading(
        lambda connection: connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()
    )
    assert found == "1min"
    ledger.close()
