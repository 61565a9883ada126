"""Jobs of SLURM as real processes: submitit's own stand-in, and commands of SLURM that run what they are given."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mindgap.core.errors import RunError
from mindgap.search.ledger import Ledger
from mindgap.search.ledger_place import ledger_url
from mindgap.search.placement import make_placement
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.workflows.search import search

pytest.importorskip("submitit", reason="submitit is not installed")
# Runs the tasks of an array in the background, each with the environment that SLURM would give it.
SBATCH = """#!/bin/sh
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\)%.*/\\1/p' "$1")
cp "$1" "{folder}/script.sh"
for task in $(seq 0 "${{last:-0}}"); do
  export SLURM_ARRAY_JOB_ID=4711 SLURM_ARRAY_TASK_ID=$task SLURM_JOB_ID=$((4711 + task)) SLURM_NTASKS=1
  export SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_JOB_NODELIST=here
  [ -n "$last" ] || unset SLURM_ARRAY_JOB_ID SLURM_ARRAY_TASK_ID
  setsid sh "{folder}/script.sh" > "{folder}/$task.log" 2>&1 &
done
echo "Submitted batch job 4711"
"""
SRUN = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do
  case "$1" in --output|--error) shift 2;; *) shift;; esac
done
exec "$@"
"""


def found(record):
    names = ("slot", "tokens", "state", "architecture", "ratios", "reward", "accuracy", "unfairness", "epochs")
    return [{name: trial[name] for name in names} for trial in record["trials"]]


def install(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(text)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_tiny_store(tmp_path_factory.mktemp("data") / "store")


@pytest.mark.slow
def test_jobs_that_go_through_sbatch_and_srun_find_what_local_workers_find(store, tmp_path, monkeypatch, postgres):
    config, commands = write_tiny_config(tmp_path, trials=6), tmp_path / "commands"
    install(commands, "sbatch", SBATCH.format(folder=commands))
    install(commands, "srun", SRUN)
    install(commands, "sacct", "#!/bin/sh\necho 'JobID|State|NodeList'\n")
    install(commands, "scancel", f'#!/bin/sh\necho "$@" >> {commands}/cancelled\n')
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    study = postgres.url("slurm", study="jobs")
    record = search(store, out=tmp_path / "run", config=config, workers=2, placement="slurm", study=study)
    assert found(record) == found(search(store, out=tmp_path / "whole", config=config))
    assert "#SBATCH --array=0-1%2" in (commands / "script.sh").read_text()


@pytest.mark.slow
def test_a_job_parks_when_its_time_is_nearly_up_and_another_goes_on(store, tmp_path):
    """SLURM says so with SIGUSR2; here the test does, to the processes of submitit's stand-in."""
    config, run = write_tiny_config(tmp_path, trials=8), tmp_path / "run"
    call = "import sys; from mindgap.workflows.search import search; store, out, config = sys.argv[1:]; "
    call += "search(store, out=out, config=config, placement='slurm', placement_options={'cluster': 'local'})"
    driver = subprocess.Popen([sys.executable, "-c", call, store, run, config], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 600
    told = False
    while not told and time.monotonic() < deadline:
        with suppress(RunError, ProcessLookupError):
            ledger = Ledger(ledger_url(run))
            slots = ledger.slots()
            ledger.close()
            at_work = [slot.last.lease.pid for slot in slots if slot.state == "running"]
            if sum(slot.settled for slot in slots) >= 2 and at_work:
                os.kill(at_work[0], 12)  # SIGUSR2
                told = True
        time.sleep(0.05)
    _, errors = driver.communicate(timeout=900)
    assert told
    assert (driver.returncode, errors) == (0, "")
    ledger = Ledger(ledger_url(run))
    attempts = [attempt for slot in ledger.slots() for attempt in slot.attempts]
    ledger.close()
    assert {attempt.ending for attempt in attempts} <= {None, "parked"}
    assert len({attempt.lease.pid for attempt in attempts if attempt.lease}) > 1, "another job went on"
    again = search(store, out=run, config=config)
    assert found(again) == found(search(store, out=tmp_path / "whole", config=config))


def test_a_search_that_cannot_begin_is_told_by_its_job(tmp_path):
    from mindgap.search.placement import Assignment
    from mindgap.search.placements.slurm import run_job

    status, line = run_job(Assignment(tmp_path), 0)
    assert status == 2
    assert line.startswith("error: ")
    assert "there is no ledger" in line


def test_the_stand_in_needs_no_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    make_placement("slurm", {"cluster": "local"}).check(workers=2, on_one_host=True)
