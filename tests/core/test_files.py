from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mindgap.core.errors import CapacityError, DataError
from mindgap.core.files import (
    atomic_path,
    is_occupied,
    jsonable,
    no_new_parents_on_failure,
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
