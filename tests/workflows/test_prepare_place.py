"""Where a store is put: through a link, over an earlier one, and after a first try that failed at the last step."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from mindgap.core.errors import RunError
from mindgap.core.files import read_json, write_json
from mindgap.workflows.prepare import prepare

ROWS = 24


@pytest.fixture
def source(tmp_path):
    (tmp_path / "images").mkdir()
    for row in range(ROWS):
        Image.fromarray(np.full((9, 9, 3), 10 * row, dtype=np.uint8)).save(tmp_path / "images" / f"{row}.png")
    with (tmp_path / "table.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [["id", "dx", "sex"], *([row, "ab"[row % 2], "fm"[row // 2 % 2]] for row in range(ROWS))]
        )
    return tmp_path


def build(source, **options):
    plain = {
        "images": source / "images",
        "metadata": source / "table.csv",
        "out": source / "store",
        "id": "id",
        "label": "dx",
        "attributes": "sex",
        "size": 8,
        "workers": 1,
    }
    return prepare(**plain | options)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_force_through_a_link_replaces_what_it_points_to(source):
    (source / "disk").mkdir()
    (source / "link").symlink_to("disk/store")
    build(source, out=source / "link")
    for size in (9, 10):
        build(source, out=source / "link", size=size, force=True)
        assert read_json(source / "disk" / "store" / "store.json")["size_px"] == size
    assert names_in(source / "disk") == ["store"]
    assert names_in(source) == ["disk", "images", "link", "table.csv"]
    assert (source / "link").is_symlink()


def test_a_store_whose_replacement_was_killed_comes_back(source):
    build(source)
    (source / "store").rename(source / ".store.old")
    with pytest.raises(RunError, match="size=8, now 9"):
        build(source, size=9)
    assert names_in(source) == ["images", "store", "table.csv"]


def test_a_store_that_could_not_be_put_in_place_is_kept_and_put_there_by_the_next_call(source):
    build(source, size=9)
    (source / ".store.old").mkdir()
    (source / ".store.old" / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match=r"\.store\.old: is in the way"):
        build(source, force=True)
    assert read_json(source / "store" / "store.json")["size_px"] == 9
    (source / ".store.old").rename(source / "mine")
    for path in (source / "images").iterdir():
        path.write_bytes(b"gone: what is whole is not decoded again")
    assert build(source, force=True)["n"] == ROWS
    assert read_json(source / "store" / "store.json")["size_px"] == 8
    assert not {"progress.bin", "files.sha256"} & set(names_in(source / "store"))
    assert names_in(source) == ["images", "mine", "store", "table.csv"]


def test_force_begins_an_unfinished_store_anew(source):
    build(source)
    (source / "store").rename(source / ".store.partial")
    record = read_json(source / ".store.partial" / "provenance.json")
    write_json(source / ".store.partial" / "provenance.json", record | {"finished": None})
    (source / ".store.partial" / "scrap").write_text("", encoding="utf-8")
    build(source, force=True)
    assert "scrap" not in names_in(source / "store")
