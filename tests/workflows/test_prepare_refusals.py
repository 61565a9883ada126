from __future__ import annotations

import csv
import os

import numpy as np
import pytest
from PIL import Image

from mindgap.core.errors import CapacityError, ConfigError, DataError, MindgapError, RunError, UnknownNameError
from mindgap.workflows.prepare import prepare

ROWS = 24


@pytest.fixture
def source(tmp_path):
    (tmp_path / "images").mkdir()
    for row in range(ROWS):
        Image.fromarray(np.full((9, 9, 3), 10 * row, dtype=np.uint8)).save(tmp_path / "images" / f"{row}.png")
    with (tmp_path / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "dx", "sex", "age", "same", "none", "label", "few", "ragged", "at, birth"])
        for row in range(ROWS):
            words = [row, "ab"[row % 2], "fm"[row // 2 % 2], row, "x", "", row % 2, "y" if row > 20 else ""]
            writer.writerow([*words, ["u", "v", "u "][row % 3], row % 2])
    return tmp_path


def build(source, **options):
    plain = {
        "images": source / "images",
        "metadata": source / "table.csv",
        "out": source / "store",
        "id": "image_id",
        "label": "dx",
        "attributes": "sex",
        "size": 8,
        "workers": 1,
    }
    return prepare(**plain | options)


REFUSALS = [
    ({"label": "dxx"}, UnknownNameError, "did you mean 'dx'"),
    ({"id": "image"}, UnknownNameError, "did you mean 'image_id'"),
    ({"cluster": "patient"}, UnknownNameError, "no column 'patient'"),
    ({"attributes": "sexx"}, UnknownNameError, "did you mean 'sex'"),
    ({"attributes": "same"}, DataError, "one group only, 'x'"),
    ({"attributes": "none"}, DataError, "every cell is empty"),
    ({"attributes": "few"}, DataError, "one group only, 'y'"),
    ({"attributes": "age:bands=100/200/300"}, DataError, "24 values fit no group"),
    ({"attributes": "label"}, ConfigError, "needs this name itself"),
    ({"attributes": ""}, ConfigError, "empty name"),
    ({"label": "same"}, DataError, "one class only, 'x'"),
    ({"attributes": "sex,ragged"}, DataError, "attribute 'ragged': 'u' and 'u ' differ by blanks only; clean the"),
    ({"label": "ragged"}, DataError, "column 'ragged': 'u' and 'u ' differ by blanks only; clean the column"),
    ({"attributes": "at, birth"}, UnknownNameError, "no column 'at' for the attribute; rename the column 'at, birth'"),
    ({"label": None, "labels": "at, birth"}, UnknownNameError, "no column 'at'; rename the column 'at, birth'"),
    ({"label": None, "labels": "label,same"}, DataError, "label column 'same' holds 'x', never 0 or 1"),
    ({"label": None, "labels": "none"}, DataError, "no row left of 24 .unknown_label 24"),
    ({"attributes": "image_id"}, DataError, "'image_id' makes a group of each image, 24 groups such as '0'"),
    ({"attributes": "tone"}, UnknownNameError, "exists only after `mindgap tone`"),
    ({"label": "few", "max_dropped": 1.0}, DataError, "one class only, 'y'"),
    ({"label": "few"}, DataError, "21 of 24 rows dropped .unknown_label 21; first: '0'., more than --max-dropped 0.5"),
    ({"label": "none"}, DataError, "no row left of 24"),
    ({"preset": "ham1000"}, UnknownNameError, "did you mean 'ham10000'"),
    ({"preset": "ham10000", "label": None}, DataError, "no row left of 24 .unknown_label 24"),
    ({"label": None}, ConfigError, "no label column"),
    ({"id": None}, ConfigError, "no id column"),
    ({"size": 0}, ConfigError, "size=0"),
    ({"resize": "squish"}, ConfigError, "did you mean 'squash'"),
    ({"split": ".5,.5"}, ConfigError, "summing to 1"),
    ({"split": "a,b,c"}, ConfigError, "not numbers"),
    ({"max_dropped": 2}, ConfigError, "max-dropped=2"),
    ({"images": "/nowhere"}, DataError, "/nowhere: no such folder; check --images"),
    ({"masks": "/nowhere"}, DataError, "/nowhere: no such folder; check --masks"),
    ({"metadata": "/nowhere.csv"}, DataError, "cannot read the table .No such file"),
    ({"workers": 0}, ConfigError, "workers=0"),
    ({"metadata": None}, ConfigError, "no metadata table"),
]


@pytest.mark.parametrize(("options", "kind", "said"), REFUSALS, ids=[said for _, _, said in REFUSALS])
def test_a_mistake_is_one_line_and_leaves_no_store(source, options, kind, said):
    with pytest.raises(kind, match=said) as error:
        build(source, **options)
    assert isinstance(error.value, MindgapError)
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in source.iterdir()) == ["images", "table.csv"]


@pytest.mark.parametrize("options", [{"attributes": "sexx"}, {"label": "none"}, {"size": 0}])
def test_a_mistake_leaves_none_of_the_folders_above_the_store(source, options):
    (source / "mine").mkdir()
    for out in ("aa/bb/cc", "mine/cc"):
        with pytest.raises(MindgapError):
            build(source, out=source / out, **options)
    assert sorted(path.name for path in source.iterdir()) == ["images", "mine", "table.csv"]
    assert build(source, out=source / "aa" / "bb" / "cc")["n"] == ROWS


def test_too_many_faulty_images_are_refused_after_decoding(source):
    for row in range(13):
        (source / "images" / f"{row}.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"13 of 24 rows dropped \(unreadable 13; first: '0'\)"):
        build(source)
    assert not (source / "store").exists()
    assert build(source, max_dropped=0.6)["n"] == 11


def test_a_class_lost_to_faulty_images_is_refused(source):
    for row in range(0, ROWS, 2):
        (source / "images" / f"{row}.png").write_bytes(b"x")
    with pytest.raises(DataError, match="one class only, 'b'"):
        build(source)


def test_a_table_without_rows_is_refused(source):
    (source / "table.csv").write_text("image_id,dx,sex\n", encoding="utf-8")
    with pytest.raises(DataError, match="no row left of 0"):
        build(source)


def test_a_folder_that_is_no_store_is_never_replaced(source):
    (source / "store").mkdir()
    (source / "store" / "thesis.txt").write_text("mine", encoding="utf-8")
    for force in (False, True):
        with pytest.raises(RunError, match="choose another folder"):
            build(source, force=force)
    assert (source / "store" / "thesis.txt").read_text(encoding="utf-8") == "mine"


def test_an_empty_folder_may_become_the_store(source):
    (source / "store").mkdir()
    assert build(source)["n"] == ROWS


def test_an_unwritable_place_is_refused(source):
    (source / "file").write_text("", encoding="utf-8")
    with pytest.raises(CapacityError, match="cannot"):
        build(source, out=source / "file" / "store")
    if os.geteuid() != 0:
        (source / "locked").mkdir(mode=0o500)
        with pytest.raises(CapacityError, match="cannot"):
            build(source, out=source / "locked" / "store")


@pytest.mark.parametrize("size", [64, 100])
def test_a_full_disk_is_refused_before_mapping_and_nothing_is_left(source, small_disk, size):
    with pytest.raises(CapacityError, match=r"no space for images.bin of [\d.]+ MiB .*smaller images need less"):
        build(source, out=small_disk / "store", size=size)
    assert list(small_disk.iterdir()) == []
    with pytest.raises(CapacityError):
        build(source, out=small_disk / "aa" / "store", size=size)
    assert list(small_disk.iterdir()) == []
    assert build(source, out=small_disk / "store", size=16)["n"] == ROWS


@pytest.mark.parametrize("free_kib", range(0, 64, 4))
def test_a_disk_that_fills_at_any_point_leaves_nothing(source, small_disk, free_kib):
    (small_disk / "other").write_bytes(b"x" * (256 - free_kib) * 1024)
    said = ""
    try:
        build(source, out=small_disk / "store", size=16)
    except CapacityError as error:
        said = str(error)
    assert bool(said) == (free_kib < 56)
    assert "\n" not in said
    assert sorted(path.name for path in small_disk.iterdir()) == (["other"] if said else ["other", "store"])


def test_a_hidden_folder_without_its_first_files_is_begun_anew(source):
    (source / ".store.partial").mkdir()
    (source / ".store.partial" / ".config.toml.123.tmp").write_text("", encoding="utf-8")
    assert build(source)["n"] == ROWS
