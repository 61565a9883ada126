"""Comparisons of methods that are killed, and that go on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mindgap.core.errors import MindgapError
from mindgap.search.ledger import Ledger
from mindgap.search.ledger_place import ledger_url
from mindgap.search.slot import Slot
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation

SAME = ("accuracy", "unfairness", "worst_group_accuracy", "groups", "options", "state", "image_passes")


def found(record):
    """What must not depend on workers, kills or resumes."""
    runs = [*record["trials"], *(run for method in record["methods"].values() for run in method["runs"])]
    figures = {name: (method["figures"], method["verdict"]) for name, method in record["methods"].items()}
    return [{name: run[name] for name in SAME} for run in runs], figures


def test_a_killed_worker_and_driver_lose_nothing_and_two_workers_find_the_same(undisturbed, store, call, tmp_path):
    run = tmp_path / "run"
    _, record = undisturbed
    driver = _driver(store, record, run, workers=2)
    try:
        os.kill(_pid_at_work(run, settled=1), signal.SIGKILL)
        _pid_at_work(run, settled=3)
    finally:
        driver.kill()
        driver.wait()
    assert found(call(store, run)) == found(record)
    assert not [*run.rglob("checkpoint.pt"), *run.rglob("*.tmp")]


@pytest.mark.slow
def test_a_worker_killed_in_its_teachers_training_has_got_further_and_the_next_goes_on(
    store, call, tmp_path, monkeypatch
):
    run, options = tmp_path / "run", {"methods": "mfd", "seeds": 1, "trials": 0, "epochs": 80}
    driver = _driver(store, call(store, tmp_path / "done", **options | {"epochs": 1}), run, epochs=80)
    try:
        slots = _until(run, lambda slots: len(slots) == 2 and slots[1].last.teacher_epoch > 1)
        driver.kill()
        os.kill(slots[1].last.lease.pid, signal.SIGKILL)
    finally:
        driver.kill()
        driver.wait()
    seen = []

    class Counted(MITIGATIONS.get("erm")):  # what teachers are trained by
        def objective(self, losses, batch, features):
            seen.append(batch.epoch)
            return super().objective(losses, batch, features)

    monkeypatch.setitem(MITIGATIONS._entries, "erm", Counted)
    record = call(store, run, **options)
    ledger = Ledger(ledger_url(run))
    first, second = ledger.slots()[1].attempts
    ledger.close()
    assert (first.ending, first.epoch) == ("lost", 0)
    assert first.teacher_epoch - 1 <= min(seen) <= first.teacher_epoch, "the epoch that was not saved is done again"
    assert (second.teacher_epoch, second.epoch) == (80, 80)
    (one,) = record["methods"]["mfd"]["runs"]
    assert (one["state"], one["attempts"], one["epochs"]) == ("complete", 2, 80)
    assert one["image_passes"] == 3 * record["methods"]["erm"]["image_passes"]


def _driver(store, record, run: Path, **changes) -> subprocess.Popen[bytes]:
    """Makes a comparison like that of a record, in a process of its own with workers of its own."""
    code = "import sys, json; from mindgap.api import compare; compare(sys.argv[1], **json.loads(sys.argv[2]))"
    named = ",".join(name for name in record["methods"] if name != "erm")
    options = {
        **record["options"], "methods": named, "network": str(record["options"]["network"]), "out": str(run),
        "placement": "local", "workers": 1, **changes,
    }  # fmt: skip
    command = [sys.executable, "-c", code, str(store), json.dumps(options)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def _pid_at_work(run: Path, *, settled: int) -> int:
    """A worker's process, once so many runs are settled."""

    def at_work(slots: list[Slot]) -> list[int]:
        return [slot.last.lease.pid for slot in slots if slot.state == "running" and slot.last.lease]

    return at_work(_until(run, lambda slots: at_work(slots) and sum(slot.settled for slot in slots) >= settled))[0]


def _until(run: Path, holds) -> list[Slot]:
    """The slots, once something holds of them."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(MindgapError):
            ledger = Ledger(ledger_url(run))
            slots = ledger.slots()
            ledger.close()
            if holds(slots):
                return slots
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


DIES = """
import json, os, signal, sys
from pathlib import Path

from mindgap.api import compare

store, options, name, times = sys.argv[1:]
left = int(times)


def die(event, arguments):
    global left
    if event == "os.rename" and Path(arguments[1]).name == name:
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(die)
compare(store, **json.loads(options))
"""


@pytest.mark.slow
def test_killed_while_results_are_written_the_next_call_writes_the_same(undisturbed, store, call, tmp_path):
    """Killed before a file gets its name: an audit of six, the record, the page, and the note that all is done."""
    done, record = undisturbed
    for name in ("straight", "killed"):
        shutil.copytree(done, tmp_path / name)
    straight = call(store, tmp_path / "straight", permutations=29)
    run = tmp_path / "killed"
    options = {**record["options"], "methods": "maxgroup,biasless", "out": str(run), "permutations": 29}
    for name, times in (("metrics.json", 3), ("compare.json", 1), ("report.html", 1), ("provenance.json", 1)):
        command = [
            sys.executable,
            "-c",
            DIES,
            str(store),
            json.dumps(options | {"placement": "local"}),
            name,
            str(times),
        ]
        killed = subprocess.run(command, stderr=subprocess.PIPE, check=False)
        assert killed.returncode == -signal.SIGKILL, (name, killed.stderr.decode()[-500:])
        assert json.loads((run / "provenance.json").read_text()).get("finished") is None
    assert call(store, run, permutations=29) == straight
    assert json.loads((run / "compare.json").read_text()) == straight
    assert (run / "report.html").read_text() == (tmp_path / "straight" / "report.html").read_text()
    assert not list(run.rglob(".*.tmp"))
    assert straight["trials"] == record["trials"], "nothing is trained again"
