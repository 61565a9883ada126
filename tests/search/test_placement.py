from __future__ import annotations

import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

from mindgap.core.errors import CapacityError, ConfigError, UnknownNameError
from mindgap.search.lease import Lease
from mindgap.search.ledger_place import named, with_password, without_password
from mindgap.search.options import merge_options
from mindgap.search.placement import PLACEMENTS, Assignment, make_placement
from mindgap.search.placements.local import LocalPlacement, gpu_of, workers_per_gpu

SBATCH = """#!/bin/sh
cp "$1" "{folder}/script.sh"
echo "$PGPASSWORD" > "{folder}/password"
echo "Submitted batch job 4711"
"""
SACCT = """#!/bin/sh
echo 'JobID|State|NodeList'
echo '4711_[0-1]|{state}|'
"""
SCANCEL = """#!/bin/sh
echo "$@" >> "{folder}/cancelled"
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Puts commands of SLURM on the path that say what they were told."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def install(name: str, text: str, **values: str) -> Path:
        program = folder / name
        program.write_text(text.format(folder=folder, **values))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return folder

    install("sbatch", SBATCH)
    install("srun", "#!/bin/sh\n")
    install("sacct", SACCT, state="RUNNING")
    install("scancel", SCANCEL)
    return install


def test_three_placements_are_known():
    assert set(PLACEMENTS.names()) >= {"local", "ray", "slurm"}


@pytest.mark.parametrize(
    ("spelled", "options", "error", "message"),
    [
        ("Ray", {}, ConfigError, "placement is 'Ray'; give local, ray, ray://auto, ray://HOST:PORT or slurm"),
        ("ray:", {}, ConfigError, "give local, ray"),
        ("rya", {}, UnknownNameError, "did you mean 'ray'"),
        ("local://here", {}, ConfigError, "local takes no address"),
        ("slurm://here", {}, ConfigError, "slurm takes no address"),
        ("local", {"partition": "gpu"}, ConfigError, "unknown key 'partition'"),
        ("ray", {"gpus_per_worker": 0}, ConfigError, "gpus_per_worker is 0"),
        ("ray", {"gpus_per_worker": 2}, ConfigError, "gpus_per_worker is 2"),
        ("slurm", {"partitions": "gpu"}, ConfigError, "did you mean 'partition'"),
        ("slurm", {"cluster": "sge"}, ConfigError, "cluster is 'sge'"),
    ],
)
def test_a_wrong_spelling_or_option_is_one_line(spelled, options, error, message):
    with pytest.raises(error, match=message) as raised:
        make_placement(spelled, options)
    assert "\n" not in str(raised.value)


def test_options_of_the_placement_go_over_the_files_key_by_key(tmp_path):
    config = tmp_path / "search.toml"
    config.write_text('placement = "slurm"\n[placement_options]\npartition = "cpu"\nminutes = 30\n')
    options = merge_options(config, {"placement_options": {"partition": "gpu"}, "gpus_per_worker": 0.5})
    assert options.placement_options == {"partition": "gpu", "minutes": 30, "gpus_per_worker": 0.5}


@pytest.mark.parametrize(
    ("share", "gpus", "expected"),
    [
        (0.5, "ab", "aabb"),
        (0.25, "a", "aaaa"),
        (1.0, "abcd", "abcd"),
        (0.6, "abcd", "abcd"),
        (1 / 3, "ab", "aaabbb"),
        (0.1, "a", "aaaaaaaaaa"),
        (4.0, "abcd", "abcd"),
    ],
)
def test_workers_share_gpus_one_after_the_other(share, gpus, expected):
    assert "".join(gpu_of(number, share, gpus) for number in range(len(expected))) == expected


@pytest.mark.parametrize(("share", "workers"), [(1, 1), (0.5, 2), (0.25, 4), (0.1, 10), (1 / 3, 3), (0.6, 1), (2, 1)])
def test_as_many_workers_fit_on_a_gpu_as_their_shares_allow(share, workers):
    assert workers_per_gpu(share) == workers


def test_more_workers_than_the_gpus_of_this_machine_hold_are_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    for spelled in ("local", "ray"):
        placement = make_placement(spelled, {"gpus_per_worker": 0.5})
        placement.check(workers=4, on_one_host=True)
        with pytest.raises(CapacityError, match=r"5 workers with gpus_per_worker 0\.5 do not fit the 2 GPUs"):
            placement.check(workers=5, on_one_host=True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(CapacityError, match=r"do not fit the 1 GPU of this machine; take fewer workers or a smaller"):
        make_placement("local", {"gpus_per_worker": 1}).check(workers=2, on_one_host=True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(CapacityError, match="gpus_per_worker is 1, and this machine has no GPU"):
        make_placement("local", {"gpus_per_worker": 1}).check(workers=1, on_one_host=True)


def environment_of(pid):
    """What a process was started with; for a moment after it began there is nothing to read yet."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if told := Path(f"/proc/{pid}/environ").read_text(encoding="utf-8"):
            return told.split("\0")
    raise AssertionError("the process has no environment")


def test_local_workers_are_told_their_gpu(monkeypatch, tmp_path):
    """The worker ends at once, as there is no search; its environment is read before that."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    placement = LocalPlacement(LocalPlacement.Options())
    placement.check(workers=2, on_one_host=True)
    placement.start(Assignment(tmp_path), [0, 1])
    try:
        environments = [environment_of(worker.process.pid) for worker in placement._processes.values()]
    finally:
        ends = placement.stop()
    assert [[line for line in each if line.startswith("CUDA_VISIBLE")] for each in environments] == [
        ["CUDA_VISIBLE_DEVICES=5"],
        ["CUDA_VISIBLE_DEVICES=7"],
    ]
    assert all("OMP_NUM_THREADS=1" in each for each in environments)
    assert [end.number for end in ends] == [0, 1]
    assert ends[0].process is not None
    assert ends[0].process.host == Lease.current().host


def test_a_local_worker_that_ends_is_told_once_with_its_last_line(tmp_path):
    placement = LocalPlacement(LocalPlacement.Options())
    placement.check(workers=1, on_one_host=True)
    placement.start(Assignment(tmp_path), [3])
    assert placement.running == {3}
    placement.wait(300)
    (end,) = placement.ended()
    assert (end.number, end.status) == (3, 2)
    assert end.last_line.startswith("error: ")
    assert "there is no ledger" in end.last_line
    assert Path(end.log) == tmp_path / "workers" / "3.log"
    assert placement.ended() == []


@pytest.mark.parametrize(("package", "extra"), [("ray", "cluster"), ("submitit", "slurm")])
def test_without_its_package_a_placement_names_the_extra(package, extra, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    placement = make_placement({"submitit": "slurm"}.get(package, package), {})
    with pytest.raises(ConfigError, match=rf"not installed; pip install 'mindgap\[{extra}\]'"):
        placement.check(workers=1, on_one_host=False)


def test_slurm_needs_a_server_for_the_ledger_and_sbatch(monkeypatch, tmp_path):
    placement = make_placement("slurm", {})
    with pytest.raises(ConfigError, match=r"put the ledger on a server, --study postgresql\+psycopg://HOST/DATABASE"):
        placement.check(workers=1, on_one_host=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="needs sbatch, which is not on the path"):
        placement.check(workers=1, on_one_host=False)
    make_placement("slurm", {"cluster": "local"}).check(workers=1, on_one_host=True)


def test_slurm_is_asked_for_an_array_of_workers_that_share_gpus(slurm, tmp_path, monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    options = {"partition": "gpu", "minutes": 90, "memory_gb": 6, "gpus_per_worker": 0.5, "account": "skin"}
    placement = make_placement("slurm", options | {"setup": ["module load cuda"], "extra": {"nice": 100}})
    placement.check(workers=4, on_one_host=False)
    study = "postgresql+psycopg://ana@db/ham"
    run = tmp_path / "run"
    placement.start(Assignment(run, study, {"PGPASSWORD": "secret"}), range(4))
    folder = slurm("sacct", SACCT, state="RUNNING")
    lines = (folder / "script.sh").read_text().splitlines()
    wanted = {"--partition=gpu", "--time=90", "--account=skin", "--nice=100", "--mem=12GB", "--cpus-per-task=1"}
    wanted |= {"--ntasks-per-node=2", "--gpus-per-node=1", "--array=0-1%2", "--signal=USR2@120", "--job-name=mindgap"}
    assert {f"#SBATCH {each}" for each in wanted} <= set(lines)
    assert {"export OMP_NUM_THREADS=1", "module load cuda"} <= set(lines)
    assert any("srun" in line and "submitit.core._submit" in line for line in lines)
    assert (folder / "password").read_text() == "secret\n"
    assert "PGPASSWORD" not in os.environ
    written = [path for path in run.rglob("*") if path.is_file()]
    assert written
    assert not any(b"secret" in path.read_bytes() for path in written)
    assert placement.running == {0, 1, 2, 3}
    assert placement.ended() == []
    placement.stop()
    assert (folder / "cancelled").read_text() == "4711_0 4711_1\n"


def test_jobs_of_a_driver_that_was_killed_still_count(slurm, tmp_path):
    first, second, third = (make_placement("slurm", {}) for _ in range(3))
    assignment = Assignment(tmp_path / "run", "postgresql+psycopg://db/ham")
    first.start(assignment, [0, 1])
    folder = slurm("sbatch", "#!/bin/sh\nexit 1\n")
    second.start(assignment, [0, 1])
    assert second.running == {0, 1}
    slurm("sacct", SACCT, state="FAILED")
    with pytest.raises(CapacityError, match="SLURM does not take the jobs"):
        third.start(assignment, [0, 1])
    assert not (folder / "cancelled").exists()


def test_jobs_that_slurm_ended_are_workers_that_died(slurm, tmp_path):
    placement = make_placement("slurm", {})
    placement.start(Assignment(tmp_path / "run", "postgresql+psycopg://db/ham"), [0, 1])
    slurm("sacct", SACCT, state="NODE_FAIL")
    placement._placed[0].job.watcher.clear()
    for placed in placement._placed:
        placed.job._results_timeout_s = 0
        assert placed.job.done(force_check=True)
    ends = placement.ended()
    assert [(end.number, end.status, end.process) for end in ends] == [(0, 1, None), (1, 1, None)]


@pytest.mark.parametrize(
    ("url", "plain", "password"),
    [
        ("postgresql://db/ham", "postgresql+psycopg://db/ham", None),
        (
            "postgresql+psycopg://ana:se:c%2Fret@db:5/ham?study=x",
            "postgresql+psycopg://ana@db:5/ham?study=x",
            "se:c/ret",
        ),
        ("postgresql://ana@db/ham", "postgresql+psycopg://ana@db/ham", None),
    ],
)
def test_a_password_is_taken_out_of_an_address_and_put_back(url, plain, password):
    shown, environment = without_password(url)
    assert (shown, environment.get("PGPASSWORD")) == (plain, password)
    again = with_password(shown, environment)
    assert without_password(again) == (shown, environment)


def test_a_password_among_the_options_of_an_address_is_refused():
    with pytest.raises(ConfigError, match=r"sslpassword=\*\*\*: give the password as USER:PASSWORD@HOST"):
        without_password("postgresql://db/ham?sslpassword=secret")


def test_searches_side_by_side_have_names_of_their_own():
    assert named("postgresql+psycopg://db/ham", "fair") == "postgresql+psycopg://db/ham?study=mindgap-fair"
    assert named("postgresql+psycopg://db/ham?a=1&study=x", "acc") == "postgresql+psycopg://db/ham?a=1&study=x-acc"


def test_no_placement_is_imported_before_it_is_asked_for():
    call = "import sys, mindgap.workflows.search; print([n for n in ('ray', 'submitit', 'boto3') if n in sys.modules])"
    shown = subprocess.run([os.sys.executable, "-c", call], capture_output=True, text=True, check=True).stdout
    assert shown == "[]\n"
