"""Several processes on one ledger: of all who want the same, one gets it, and none writes to what is not its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger, LostLeaseError, Wanted, create_ledger
from mindgap.search.slot import Slot

HAMMER = """
import json, sys
from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger, Wanted

url, number, slots = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ledger, won = Ledger(url), []
print("ready", flush=True)
input()
for slot in range(slots):
    claim = ledger.claim(Wanted(slot, (slot, number)), lease=Lease.current())
    if claim is not None:
        ledger.epoch_done(claim, 1)
        ledger.complete(claim, result={"reward": float(number)}, values=(0.5, 0.1, 1.0))
        won.append(slot)
ledger.close()
print(json.dumps(won))
"""


def at_once(code: str, url: str, number: int) -> list[list]:
    """What four processes print that run the code and begin at the same moment."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, str(i), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(4)
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.flush()
    return [json.loads(worker.communicate(timeout=300)[0]) for worker in workers]


def test_processes_that_hammer_the_same_slots_share_them_without_loss_or_duplicate(url):
    create_ledger(url, {})
    slots = 25
    won = at_once(HAMMER, url, slots)
    ledger = Ledger(url)
    found = ledger.slots()
    assert sorted(slot for own in won for slot in own) == list(range(slots))
    assert [slot.state for slot in found] == ["complete"] * slots
    assert all(slot.tokens[1] == slot.result["reward"] for slot in found), "whoever claimed it completed it"
    assert sorted(attempt.number for slot in found for attempt in slot.attempts) == list(range(slots))
    ledger.close()


QUEUE = """
import json, sys
from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger, Wanted

url, number, claims = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ledger, won = Ledger(url), []
print("ready", flush=True)
input()
for _ in range(claims):
    following = lambda slots, _: Wanted(len(slots), (len(slots), number))
    claim = ledger.claim(Wanted(0, (0, number)), lease=Lease.current(), instead=following)
    won.append([claim.slot, *claim.tokens])
ledger.close()
print(json.dumps(won))
"""


def test_of_processes_that_want_the_next_slot_each_gets_one_at_its_first_call(url):
    create_ledger(url, {})
    claims = 10
    won = at_once(QUEUE, url, claims)
    assert sorted(slot for own in won for slot, *_ in own) == list(range(4 * claims))
    ledger = Ledger(url)
    by_slot = {slot: tokens for own in won for slot, *tokens in own}
    assert [list(slot.tokens) for slot in ledger.slots()] == [by_slot[k] for k in range(4 * claims)]
    assert [attempt.number for slot in ledger.slots() for attempt in slot.attempts] == list(range(4 * claims))
    ledger.close()


def test_of_two_who_end_and_complete_at_the_same_moment_one_has_his_way(url):
    """Whatever the order, the row is either lost or complete, and both know it."""
    create_ledger(url, {})
    owner, other = Ledger(url), Ledger(url)
    kept = []
    for slot in range(15):
        claim = owner.claim(Wanted(slot, (slot,)), lease=Lease.current())
        ready = threading.Barrier(2)

        def end(row: int = claim.row, ready: threading.Barrier = ready) -> None:
            ready.wait()
            other.end(row, "lost")

        thread = threading.Thread(target=end)
        thread.start()
        ready.wait()
        try:
            owner.complete(claim, result={"reward": 0.5}, values=(0.5, 0.1, 1.0))
            kept.append(True)
        except LostLeaseError:
            kept.append(False)
        thread.join()
    assert [slot.state == "complete" for slot in other.slots()] == kept
    assert [slot.last.ending == "lost" for slot in other.slots()] == [not mine for mine in kept]
    assert [trial.values is not None for trial in _optuna_trials(url)] == kept
    owner.close()
    other.close()


def _optuna_trials(url):
    import optuna

    from mindgap.search.ledger_address import LedgerAddress

    address = LedgerAddress.parse(url)
    storage = optuna.storages.RDBStorage(address.database)
    trials = optuna.load_study(storage=storage, study_name=address.study).trials
    storage.remove_session()
    storage.engine.dispose()
    return trials


def plain(slot: Slot) -> tuple[object, ...]:
    return tuple((try_.number, try_.attempt, try_.epoch, try_.ending, try_.result) for try_ in slot.attempts)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "epoch", "complete", "park", "lose", "reject", "look"]),
        st.integers(0, 1),
        st.integers(0, 3),
    ),
    max_size=25,
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """The file of a ledger without a slot."""
    file = tmp_path_factory.mktemp("empty") / "ledger.db"
    create_ledger(f"sqlite:///{file}", {})
    return file


@given(actions=ACTIONS)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_who_looks_often_and_who_looks_once_see_the_same(actions, tmp_path_factory, empty):
    """Reading step by step what is new gives what reading everything at the end does."""
    url = f"sqlite:///{shutil.copy(empty, tmp_path_factory.mktemp('looks'))}"
    ledgers, claims = [Ledger(url), Ledger(url)], {}
    for action, who, slot in actions:
        ledger = ledgers[who]
        known = {one.number: one for one in ledger.slots()}
        if action == "claim":
            attempt = known[slot].last.attempt + 1 if slot in known and known[slot].state == "open" else 1
            claim = ledger.claim(Wanted(slot, (slot,), attempt=attempt), lease=Lease.current())
            claims[slot] = claim or claims.get(slot)
        elif action == "reject":
            ledger.reject(slot, (slot,), result={"reason": "no", "reward": -1.0})
        elif action != "look" and claims.get(slot) is not None:
            _act(ledger, action, claims[slot])
    late = Ledger(url)
    seen = [[plain(slot) for slot in ledger.slots()] for ledger in [*ledgers, late]]
    for ledger in [*ledgers, late]:
        ledger.close()
    assert seen[0] == seen[1] == seen[2]


def _act(ledger, action, claim):
    try:
        if action == "epoch":
            ledger.epoch_done(claim, 1)
        elif action == "complete":
            ledger.complete(claim, result={"reward": 0.5}, values=(0.5, 0.1, 1.0))
        else:
            ledger.end(claim.row, "parked" if action == "park" else "lost")
    except LostLeaseError:
        assert action in {"epoch", "complete"}
