from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from mindgap.core.errors import ConfigError, RunError
from mindgap.search.agenda import Target
from mindgap.search.ledger import Ledger
from mindgap.search.status import search_status
from mindgap.search.worker import ledger_url
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.workflows.search import search
from mindgap.workflows.worker import worker


def test_a_worker_by_hand_trains_what_the_driver_asks_for_and_the_driver_takes_it_over(tmp_path):
    store, run = write_tiny_store(tmp_path / "store"), tmp_path / "run"
    config = write_tiny_config(tmp_path)
    search(store, out=run, config=config, trials=2)
    ledger = Ledger(ledger_url(run))
    ledger.note("target", Target(trials=4).model_dump())
    ledger.close()
    progress = worker(study=ledger_url(run))
    assert (progress["complete"], progress["state"]) == (
        4,
        "all candidates are done; the same command writes the report",
    )
    again = search(store, out=run, config=config, trials=4)
    whole = search(store, out=tmp_path / "whole", config=config, trials=4)
    assert [trial["reward"] for trial in again["trials"]] == [trial["reward"] for trial in whole["trials"]]


def test_ctrl_c_parks_the_candidate_and_ends_the_worker_with_130(tmp_path):
    store, run = write_tiny_store(tmp_path / "store"), tmp_path / "run"
    search(store, out=run, config=write_tiny_config(tmp_path), trials=1)
    ledger = Ledger(ledger_url(run))
    ledger.note("target", Target(trials=500).model_dump())
    command = [sys.executable, "-m", "mindgap.cli.main", "worker", "--study", str(run)]
    by_hand = subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True)
    deadline = time.monotonic() + 120
    while not sum(slot.settled for slot in ledger.slots()) > 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    by_hand.send_signal(signal.SIGINT)
    _, errors = by_hand.communicate(timeout=60)
    assert by_hand.returncode == 130
    assert errors == "interrupted; run the same command again to go on\n"
    slots = ledger.slots()
    attempts = [attempt for slot in slots for attempt in slot.attempts]
    ledger.close()
    assert all(slot.state != "running" for slot in slots)
    assert all(attempt.ending in {None, "parked"} for attempt in attempts)
    assert "stopped" in search_status(run)["state"]


def test_a_study_elsewhere_or_nowhere_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"study is 'mysql://host/db'; give sqlite:///FILE or postgresql"):
        worker(study="mysql://host/db")
    with pytest.raises(RunError, match="there is no ledger"):
        worker(study=str(tmp_path))
