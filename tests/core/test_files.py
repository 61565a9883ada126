from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from mindgap.core.errors import CapacityError, DataError, RunError
from mindgap.core.files import (
    atomic_path,
    is_occupied,
    jsonable,
    no_new_parents_on_failure,
    put_in_place,
    read_json,
    write_json,
    write_text,
)


def half_written(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError):
        half_written(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_cannot_be_made_is_a_capacity_error(tmp_path: Path):
    write_text(tmp_path / "file", "")
    with pytest.raises(CapacityError, match="cannot write"):
        write_text(tmp_path / "file" / "below.txt", "x")


def test_nan_is_refused_by_write_json_and_becomes_null_by_jsonable(tmp_path: Path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"a": math.nan})
    write_json(
        tmp_path / "a.json", jsonable({"a": np.float64("nan"), 2: np.arange(2), "p": Path("x"), "t": (1, math.inf)})
    )
    assert read_json(tmp_path / "a.json") == {"a": None, "2": [0, 1], "p": "x", "t": [1, None]}


def test_a_damaged_or_missing_json_is_one_line(tmp_path: Path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(DataError, match="cannot read"):
        read_json(tmp_path / "b.json")


def test_only_an_empty_folder_or_nothing_is_free_to_take(tmp_path: Path):
    write_text(tmp_path / "full" / "file", "")
    (tmp_path / "empty").mkdir()
    places = {name: is_occupied(tmp_path / name) for name in ("none", "empty", "full", "full/file")}
    assert places == {"none": False, "empty": False, "full": True, "full/file": True}


def folder_of(place: Path, *names: str) -> Path:
    for name in names:
        write_text(place / name, name)
    return place


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

    folder_of(tmp_path / "target", "a", "b")
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


def fail_below(path: Path, *left: str) -> None:
    """Makes the folder above a path, leaves some files in it, and fails."""
    with no_new_parents_on_failure(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder_of(path.parent, *left)
        raise ZeroDivisionError


def test_a_failure_removes_the_parents_that_were_not_there_and_are_empty(tmp_path: Path):
    (tmp_path / "there").mkdir()
    for place in ("aa/bb/cc", "there/cc", "there/dd/cc"):
        with pytest.raises(ZeroDivisionError):
            fail_below(tmp_path / place)
    assert names_in(tmp_path) == ["there"]
    assert names_in(tmp_path / "there") == []


def test_parents_stay_where_the_work_succeeds_or_left_something(tmp_path: Path):
    with no_new_parents_on_failure(tmp_path / "a" / "b"):
        (tmp_path / "a").mkdir()
    with pytest.raises(ZeroDivisionError):
        fail_below(tmp_path / "c" / "d" / "e", "kept")
    assert names_in(tmp_path) == ["a", "c"]
    assert names_in(tmp_path / "c" / "d") == ["kept"]
