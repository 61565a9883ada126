"""A search can be watched with optuna-dashboard, which reads the ledger as it is."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger, Wanted, create_ledger
from mindgap.search.ledger_address import LedgerAddress

PROGRAM = Path(sys.executable).with_name("optuna-dashboard")


def get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310  (of loopback)
        return answer.read()


@pytest.fixture
def dashboard(url):
    """The address of a dashboard on a ledger with a finished, a rejected and a running candidate."""
    if not PROGRAM.exists() and not shutil.which("optuna-dashboard"):
        pytest.skip("optuna-dashboard is not installed: pip install 'mindgap[dashboard]'")
    create_ledger(url, {"plan": {"seed": 3}})
    ledger = Ledger(url)
    done = ledger.claim(Wanted(0, (1, 2)), lease=Lease.current())
    ledger.epoch_done(done, 2)
    ledger.complete(done, result={"reward": 0.5, "architecture": {"blocks": [1]}}, values=(0.75, 0.125, 1e6))
    ledger.reject(1, (3,), result={"reason": "too slow", "reward": -1.0})
    ledger.claim(Wanted(2, (4,)), lease=Lease.current())
    ledger.close()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = PROGRAM if PROGRAM.exists() else "optuna-dashboard"
    command = [program, LedgerAddress.parse(url).database, "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    place = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 120
    while True:
        try:
            get(f"{place}/api/studies")
            break
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, "the dashboard ended"
            assert time.monotonic() < until, "the dashboard does not answer"
            time.sleep(0.2)
    yield place
    process.terminate()
    process.wait()


def test_the_dashboard_shows_the_search_its_values_and_its_attributes(dashboard, url):
    studies = json.loads(get(f"{dashboard}/api/studies"))["study_summaries"]
    ours = next(study for study in studies if study["study_name"] == LedgerAddress.parse(url).study)
    assert ours["directions"] == ["maximize", "minimize", "minimize"]
    trials = json.loads(get(f"{dashboard}/api/studies/{ours['study_id']}?after=0"))["trials"]
    assert [(trial["number"], trial["state"]) for trial in trials] == [(0, "Complete"), (1, "Fail"), (2, "Running")]
    assert trials[0]["values"] == [0.75, 0.125, 1e6]
    shown = {attribute["key"]: attribute["value"] for attribute in trials[0]["user_attrs"]}
    assert json.loads(shown["tokens"]) == [1, 2]
    assert json.loads(shown["epoch"]) == 2
    assert "0.5" in shown["result"]
    assert b"<html" in get(f"{dashboard}/dashboard/").lower()
