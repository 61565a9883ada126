"""Replacing folders: what is deleted, what comes back, and what is left alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mindgap.core.errors import CapacityError, RunError
from mindgap.core.files import write_text
from mindgap.core.folder_lock import folder_lock
from mindgap.core.replacement import end_killed_replacement, put_in_place
from mindgap.core.run import RunFolder

OURS = 'verb = "prepare"\n[options]\n'
THEIRS = 'title = "mine"\n'


def folder_of(place: Path, *names: str) -> Path:
    for name in names:
        write_text(place / name, name)
    return place


def run_of(place: Path, *names: str) -> Path:
    """A run's folder with some further files."""
    write_text(place / "config.toml", OURS)
    return folder_of(place, "provenance.json", *names)


def names_in(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "a full one"])
def test_a_folder_is_put_in_place_and_nothing_is_left_beside_it(tmp_path: Path, there: str):
    if there != "nothing":
        (tmp_path / "target").mkdir()
    if there == "a full one":
        folder_of(tmp_path / "target", "a", "b")
    put_in_place(folder_of(tmp_path / "new", "c"), tmp_path / "target", replace=there == "a full one")
    assert names_in(tmp_path) == ["target"]
    assert names_in(tmp_path / "target") == ["c"]


def test_what_is_at_the_place_stays_unless_it_is_to_be_replaced(tmp_path: Path):
    folder_of(tmp_path / "target", "thesis.txt")
    with pytest.raises(RunError, match=r"target: appeared meanwhile; choose another folder, or --force to replace it"):
        put_in_place(folder_of(tmp_path / "new", "c"), tmp_path / "target", replace=False)
    assert names_in(tmp_path / "target") == ["thesis.txt"]


def test_a_deletion_cut_short_leaves_the_new_folder_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def cut_short(folder: Path, **_: object) -> None:
        for path in sorted(Path(folder).glob("*"))[:1]:
            path.unlink()
            raise KeyboardInterrupt

    run_of(tmp_path / "target", "a", "b")
    monkeypatch.setattr(shutil, "rmtree", cut_short)
    with pytest.raises(KeyboardInterrupt):
        put_in_place(folder_of(tmp_path / "new", "c", "d"), tmp_path / "target", replace=True)
    assert names_in(tmp_path / "target") == ["c", "d"]
    monkeypatch.undo()
    put_in_place(folder_of(tmp_path / "newer", "e"), tmp_path / "target", replace=True)
    assert names_in(tmp_path) == ["target"]


def test_what_cannot_be_put_in_place_leaves_what_was_there(tmp_path: Path):
    folder_of(tmp_path / "target", "a")
    with pytest.raises(CapacityError, match=r"target: cannot be put in place \(No such file or directory\)"):
        put_in_place(tmp_path / "absent", tmp_path / "target", replace=True)
    assert names_in(tmp_path) == ["target"]
    assert names_in(tmp_path / "target") == ["a"]


@pytest.mark.parametrize("there", [False, True])
def test_what_is_not_ours_is_not_deleted_for_its_name(tmp_path: Path, there: bool):
    folder_of(tmp_path / ".target.old", "thesis.txt")
    write_text(tmp_path / ".target.old" / "config.toml", THEIRS)
    if there:
        run_of(tmp_path / "target", "a")
        with pytest.raises(RunError, match=r"\.target\.old: is in the way and holds no mindgap run; move it away"):
            put_in_place(folder_of(tmp_path / "new", "c"), tmp_path / "target", replace=True)
        assert "a" in names_in(tmp_path / "target")
    else:
        put_in_place(folder_of(tmp_path / "new", "c"), tmp_path / "target", replace=True)
        assert names_in(tmp_path / "target") == ["c"]
    end_killed_replacement(tmp_path / "target")
    assert names_in(tmp_path / ".target.old") == ["config.toml", "thesis.txt"]


@pytest.mark.parametrize("place", ["absent", "an empty folder"])
def test_what_a_killed_call_set_aside_comes_back_where_its_place_is_free(tmp_path: Path, place: str):
    run_of(tmp_path / ".target.old", "a")
    if place != "absent":
        (tmp_path / "target").mkdir()
    end_killed_replacement(tmp_path / "target")
    assert names_in(tmp_path) == ["target"]
    assert names_in(tmp_path / "target") == ["a", "config.toml", "provenance.json"]


def test_what_a_killed_call_set_aside_is_deleted_where_its_place_is_taken(tmp_path: Path):
    run_of(tmp_path / ".target.old", "a")
    folder_of(tmp_path / "target", "b")
    end_killed_replacement(tmp_path / "target")
    assert names_in(tmp_path) == ["target"]
    assert names_in(tmp_path / "target") == ["b"]


def test_a_run_whose_deletion_had_begun_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def cut_short(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    run_of(tmp_path / "target", "a", "below/b")
    monkeypatch.setattr(shutil, "rmtree", cut_short)
    with pytest.raises(KeyboardInterrupt):
        put_in_place(folder_of(tmp_path / "new", "c"), tmp_path / "target", replace=True)
    monkeypatch.undo()
    assert "below" in names_in(tmp_path / ".target.old")
    shutil.rmtree(tmp_path / "target")
    end_killed_replacement(tmp_path / "target")
    assert names_in(tmp_path) == []


def test_what_another_process_has_set_aside_is_its_own(tmp_path: Path):
    run_of(tmp_path / ".target.old", "a")
    with folder_lock(tmp_path / ".target.old"), pytest.raises(RunError, match="another mindgap process"):
        end_killed_replacement(tmp_path / "target")
    assert "a" in names_in(tmp_path / ".target.old")


def test_of_a_link_only_the_link_is_replaced(tmp_path: Path):
    run_of(tmp_path / "elsewhere", "a")
    (tmp_path / "target").symlink_to("elsewhere")
    for name in ("b", "c"):
        put_in_place(folder_of(tmp_path / "new", name), tmp_path / "target", replace=True)
        assert names_in(tmp_path) == ["elsewhere", "target"]
        assert names_in(tmp_path / "target") == [name]
    assert names_in(tmp_path / "elsewhere") == ["a", "config.toml", "provenance.json"]


def opened(path: Path, *, seed: int) -> RunFolder:
    with RunFolder.hold(path, verb="train", options={"seed": seed}) as run:
        return run


@pytest.mark.parametrize("left", [None, [], ["config.toml"], [".run.lock", ".config.toml.7.tmp"]])
def test_a_run_comes_back_where_its_replacement_was_killed_before_it_stood(tmp_path: Path, left: list[str] | None):
    opened(tmp_path / "run", seed=0).finish()
    (tmp_path / "run").rename(tmp_path / ".run.old")
    if left is not None:
        (tmp_path / "run").mkdir()
        for name in left:
            text = 'verb = "train"\n[options]\nseed = 1\n' if name == "config.toml" else ""
            (tmp_path / "run" / name).write_text(text)
    assert RunFolder.check(tmp_path / "run", verb="train", options={"seed": 0}) == "finished"
    assert opened(tmp_path / "run", seed=0).state == "finished"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_replaced_run_that_a_killed_call_did_not_delete_is_deleted(tmp_path: Path):
    opened(tmp_path / "old", seed=0).finish()
    opened(tmp_path / "run", seed=1)
    (tmp_path / "old").rename(tmp_path / ".run.old")
    assert opened(tmp_path / "run", seed=1).state == "resumed"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
