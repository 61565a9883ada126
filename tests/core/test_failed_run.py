"""What a run that fails leaves in its folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mindgap.core.errors import DataError, TrainingFailure
from mindgap.core.run import RunFolder


def state(path: Path, work: Callable[[RunFolder], object] = lambda _: None) -> str:
    """What was in the folder of a run that does some work."""
    with RunFolder.hold(path, verb="train", options={"lr": 9.0}) as run:
        work(run)
    return run.state


def fails(run: RunFolder) -> None:
    run.record(fingerprint="abc")
    raise TrainingFailure("loss became nan; lower the learning rate")


def writes_and_fails(run: RunFolder) -> None:
    (run.path / "epoch.txt").write_text("1")
    raise DataError("an image cannot be read")


def test_a_new_run_that_fails_before_it_wrote_anything_leaves_no_folder(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    for name in ("new", "mine"):
        with pytest.raises(TrainingFailure):
            state(tmp_path / name, fails)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]
    assert state(tmp_path / "new") == "new"


def test_a_folder_that_the_run_itself_removed_is_no_second_error(tmp_path: Path):
    def removes_and_fails(run: RunFolder) -> None:
        shutil.rmtree(run.path)
        raise DataError("an image cannot be read")

    with pytest.raises(DataError):
        state(tmp_path / "run", removes_and_fails)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_later_keeps_what_it_wrote(tmp_path: Path):
    for _ in range(2):
        with pytest.raises(DataError):
            state(tmp_path / "run", writes_and_fails)
    assert (tmp_path / "run" / "epoch.txt").exists()
    assert state(tmp_path / "run") == "resumed"


def test_a_killed_run_that_goes_on_and_fails_at_once_is_left(tmp_path: Path):
    state(tmp_path / "run")
    with pytest.raises(TrainingFailure):
        state(tmp_path / "run", fails)
    assert state(tmp_path / "run") == "resumed"
