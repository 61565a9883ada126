"""What the ledger writes, Optuna reads: its tools must show our searches."""

from __future__ import annotations

import optuna
import pytest

from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger, Wanted, create_ledger
from mindgap.search.ledger_address import LedgerAddress


@pytest.fixture
def study(url):
    """Optuna's own view of a ledger with one attempt of each kind."""
    create_ledger(url, {"plan": {"seed": 3}})
    ledger = Ledger(url)
    done = ledger.claim(Wanted(0, (1, 2), rung=1), lease=Lease.current())
    ledger.epoch_done(done, 3)
    result = {"reward": 0.5, "architecture": {"blocks": []}}
    ledger.complete(done, result=result, values=(0.8, 0.1, 1e6))
    ledger.reject(1, (3,), result={"reason": "too slow", "reward": -1.0})
    ledger.claim(Wanted(2, (4,)), lease=Lease.current())
    ledger.close()
    address = LedgerAddress.parse(url)
    storage = optuna.storages.RDBStorage(address.database)
    yield optuna.load_study(storage=storage, study_name=address.study)
    storage.remove_session()
    storage.engine.dispose()


def test_optuna_reads_the_study_its_directions_and_its_facts(study):
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    assert study.user_attrs == {"plan": {"seed": 3}}


def test_optuna_reads_attempts_with_their_numbers_states_values_and_attributes(study):
    first, second, third = study.trials
    assert [trial.number for trial in study.trials] == [0, 1, 2]
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "RUNNING"]
    assert first.values == [0.8, 0.1, 1e6]
    assert first.user_attrs["tokens"] == [1, 2]
    assert first.user_attrs["rung"] == 1
    assert first.user_attrs["epoch"] == 3
    assert first.user_attrs["result"] == {"reward": 0.5, "state": "complete"}
    assert first.user_attrs["architecture"] == {"blocks": []}
    assert second.user_attrs["result"]["reason"] == "too slow"
    assert third.datetime_complete is None


def test_optuna_reads_when_an_attempt_began_and_how_long_it_took(study):
    first = study.trials[0]
    assert abs((optuna.trial.FrozenTrial.duration.fget(first)).total_seconds()) < 60
    assert study.best_trials == [first]


def test_optuna_numbers_its_own_trials_after_ours_and_we_ours_after_its(study, url):
    assert study.ask().number == 3
    ledger = Ledger(url)
    assert [slot.number for slot in ledger.slots()] == [0, 1, 2], "a trial without a slot is none of ours"
    ledger.claim(Wanted(3, (5,)), lease=Lease.current())
    ledger.close()
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3, 4]
