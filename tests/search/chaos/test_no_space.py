"""A disk that is full, or may not be written: one line, the candidate is not blamed, and it goes on afterwards."""

from __future__ import annotations

import contextlib
import shutil
import subprocess

import pytest

from mindgap.core.errors import CapacityError
from mindgap.search.agenda import Target
from mindgap.search.ledger import Claim, Ledger, create_ledger
from mindgap.search.trial import StoreCandidates
from mindgap.search.worker_loop import Worker

TOKENS = (4, 0, 0, 0, 0, 2, 0)


def nothing(*_):
    pass


def claim(attempt=1):
    return Claim(row=0, slot=3, attempt=attempt, tokens=TOKENS)


def weights(candidates, attempt):
    return (candidates.folder(claim(attempt)) / "weights.safetensors").read_bytes()


@pytest.fixture
def plan(store, plan_of):
    return plan_of(store)


@pytest.fixture
def undisturbed(plan, tmp_path):
    candidates = StoreCandidates(tmp_path / "run", plan)
    candidates.train(claim(), epoch_done=nothing, between=nothing)
    found = weights(candidates, 1)
    shutil.rmtree(tmp_path / "run" / "trials")
    return found


@pytest.fixture
def on_disk(plan, undisturbed, tmp_path, small_disk):
    """The same candidates on a disk of 256 KiB."""
    shutil.copytree(tmp_path / "run", small_disk / "run")
    return StoreCandidates(small_disk / "run", plan)


def fill(disk, *, free_kib):
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while shutil.disk_usage(disk).free > free_kib * 1024:
            filler.write(bytes(1024))


@pytest.mark.parametrize("free_kib", [0, 8, 16, 32, 48, 64])
def test_a_full_disk_is_one_line_wherever_training_meets_it_and_costs_nothing(
    on_disk, undisturbed, small_disk, free_kib
):
    """With so many KiB free the log, the checkpoint, the weights or the predictions no longer fit."""
    fill(small_disk, free_kib=free_kib)
    with pytest.raises(CapacityError, match=r"cannot write .*No space left.*; free space") as error:
        on_disk.train(claim(), epoch_done=nothing, between=nothing)
    assert "\n" not in str(error.value)
    assert not list(small_disk.rglob("*.tmp"))
    (small_disk / "filler").unlink()
    on_disk.train(claim(2), epoch_done=nothing, between=nothing)
    assert weights(on_disk, 2) == undisturbed


def test_a_folder_that_may_not_be_written_is_one_line_and_costs_nothing(on_disk, undisturbed, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(CapacityError, match=r"trials/3/1: cannot write \(Read-only file system\)"):
        on_disk.train(claim(), epoch_done=nothing, between=nothing)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    on_disk.train(claim(2), epoch_done=nothing, between=nothing)
    assert weights(on_disk, 2) == undisturbed


def test_a_worker_without_a_place_to_write_stops_and_blames_no_candidate(plan, tmp_path):
    run, url = tmp_path / "run", f"sqlite:///{tmp_path / 'ledger.db'}"
    create_ledger(url, {"target": Target(trials=2).model_dump()})
    ledger = Ledger(url)
    (run / "trials").touch()  # no folder can be made there
    candidates = StoreCandidates(run, plan)
    for _ in range(3):
        with pytest.raises(CapacityError, match=r"trials/0/\d: cannot write"):
            Worker(ledger, plan.make_searcher(candidates.space), candidates).run()
    (slot,) = ledger.slots()
    assert (slot.state, {tried.ending for tried in slot.attempts}) == ("open", {"parked"})
    (run / "trials").unlink()
    Worker(ledger, plan.make_searcher(candidates.space), candidates).run()
    assert [slot.state for slot in ledger.slots()] == ["complete", "complete"]
    ledger.close()
