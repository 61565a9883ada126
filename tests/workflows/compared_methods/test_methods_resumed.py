"""Comparisons of methods that are killed, and that go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from mindgap.core.errors import MindgapError
from mindgap.search.ledger import Ledger
from mindgap.search.ledger_place import ledger_url
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation

METHODS = "maxgroup,biasless"
SAME = ("accuracy", "unfairness", "worst_group_accuracy", "groups", "options", "state", "image_passes")


def found(record):
    """What must not depend on workers, kills or resumes."""
    runs = [*record["trials"], *(run for method in record["methods"].values() for run in method["runs"])]
    figures = {name: (method["figures"], method["verdict"]) for name, method in record["methods"].items()}
    return [{name: run[name] for name in SAME} for run in runs], figures


def test_a_killed_worker_and_driver_lose_nothing_and_two_workers_find_the_same(undisturbed, store, call, tmp_path):
    run = tmp_path / "run"
    _, record = undisturbed
    code = "import sys, json; from mindgap.api import compare; compare(sys.argv[1], **json.loads(sys.argv[2]))"
    options = {
        **record["options"], "methods": METHODS, "network": str(record["options"]["network"]), "out": str(run),
        "placement": "local", "workers": 2,
    }  # fmt: skip
    driver = subprocess.Popen([sys.executable, "-c", code, str(store), json.dumps(options)], stderr=subprocess.DEVNULL)
    try:
        os.kill(_pid_at_work(run, settled=1), signal.SIGKILL)
        _pid_at_work(run, settled=3)
    finally:
        driver.kill()
        driver.wait()
    assert found(call(store, run)) == found(record)
    assert not [*run.rglob("checkpoint.pt"), *run.rglob("*.tmp")]


def _pid_at_work(run: Path, *, settled: int) -> int:
    """A worker's process, once so many runs are settled."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(MindgapError):
            ledger = Ledger(ledger_url(run))
            slots = ledger.slots()
            ledger.close()
            at_work = [slot.last.lease.pid for slot in slots if slot.state == "running"]
            if at_work and sum(slot.settled for slot in slots) >= settled:
                return at_work[0]
        time.sleep(0.02)
    raise AssertionError("the comparison does not get on")


def test_a_teachers_checkpoint_is_inherited_and_removed_at_the_end(store, call, tmp_path, monkeypatch):
    """The first attempt dies right after the teacher's only epoch; the second does not train the teacher again."""
    teachers: list[int] = []

    class Pupil(AbstractMitigation):
        needs_teacher = True
        died = False

        def take_teacher(self, teacher):
            teachers.append(len(list((tmp_path / "run" / "trials").rglob("teacher/checkpoint.pt"))))
            if not Pupil.died:
                Pupil.died = True
                raise ValueError("the worker's bad day")

    monkeypatch.setitem(MITIGATIONS._entries, "pupil", Pupil)
    record = call(store, tmp_path / "run", methods="pupil", seeds=1, trials=0, epochs=1)
    one = record["methods"]["pupil"]["runs"][0]
    assert (one["state"], one["attempts"]) == ("complete", 2)
    assert teachers == [1, 2]
    log = [json.loads(line) for line in (tmp_path / "run" / one["folder"] / "log.jsonl").read_text().splitlines()]
    assert len(log) == 1
    assert one["image_passes"] == 2 * record["methods"]["erm"]["image_passes"]
    assert not list((tmp_path / "run").rglob("teacher"))
