"""What a run that fails leaves in its folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mindgap.core.errors import DataError, TrainingFailure
from mindgap.core.folder_lock import LOCK_FILE
from mindgap.core.run import RunFolder


def state(path: Path, work: Callable[[RunFolder], object] = lambda _: None) -> str:
    """What was in the folder of a run that does some work, and has nothing elsewhere."""
    with RunFolder.hold(path, verb="train", options={"lr": 9.0}) as run, run.gone_if_nothing_is_written():
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


def test_what_a_killed_first_moment_left_goes_too(tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".config.toml.123.tmp").touch()
    with pytest.raises(TrainingFailure):
        state(tmp_path / "run", fails)
    assert list((tmp_path / "run").iterdir()) == []


def test_killed_in_the_middle_of_that_the_folder_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept, unlink = [], Path.unlink

    def stops(path: Path, missing_ok: bool = False) -> None:
        if kept:
            raise OSError("killed")
        kept.append(path.name)
        unlink(path, missing_ok=missing_ok)

    def fails_and_is_killed(_: RunFolder) -> None:
        monkeypatch.setattr(Path, "unlink", stops)
        raise TrainingFailure("loss became nan; lower the learning rate")

    with pytest.raises(TrainingFailure, match="lower the learning rate"):
        state(tmp_path / "run", fails_and_is_killed)
    monkeypatch.undo()
    assert kept == ["provenance.json"]
    assert {path.name for path in (tmp_path / "run").iterdir()} - {LOCK_FILE} == {"config.toml"}
    assert state(tmp_path / "run") == "new"


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


def test_a_run_that_has_something_elsewhere_does_not_ask_for_it(tmp_path: Path):
    with pytest.raises(DataError), RunFolder.hold(tmp_path / "run", verb="search", options={"lr": 9.0}):
        raise DataError("the ledger cannot be read")
    with RunFolder.hold(tmp_path / "run", verb="search", options={"lr": 9.0}) as run:
        assert run.state == "resumed"
