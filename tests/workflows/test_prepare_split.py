"""The verb ``prepare`` with a split that the table gives."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindgap.cli.main import run
from mindgap.core.errors import ConfigError, DataError, RunError, UnknownNameError
from mindgap.data.image_store import Store
from mindgap.data.split import SPLITS
from mindgap.workflows.audit_store import audit_store
from mindgap.workflows.prepare import prepare

ROWS = 48


@pytest.fixture
def source(tmp_path):
    """Images of clusters of two, the last quarter of which tests; the fold of one row is not known."""
    (tmp_path / "images").mkdir()
    with (tmp_path / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "dx", "sex", "lesion", "fold", "cut", "odd", "most", "none"])
        for row in range(ROWS):
            Image.fromarray(np.full((9, 9, 3), 5 * row, dtype=np.uint8)).save(tmp_path / "images" / f"{row}.png")
            fold = "Train" if row < 36 else "Test"
            cells = [row, "ab"[row // 2 % 2], "fm"[row // 4 % 2], f"L{row // 2}", "" if row == 5 else fold]
            cells += ["train" if row < 35 else "test", "fold 1", " " if row < 36 else "test", ""]
            writer.writerow(cells)
    return tmp_path


def build(source, **options):
    plain = {
        "images": source / "images", "metadata": source / "table.csv", "out": source / "store", "id": "image_id",
        "label": "dx", "attributes": "sex", "cluster": "lesion", "size": 8, "workers": 1, "split_column": "fold",
    }  # fmt: skip
    return prepare(**plain | options)


def test_the_test_rows_of_the_table_are_those_of_the_store(source):
    record = build(source)
    store = Store.open(source / "store")
    tested = [name for name, split in zip(store.ids, store.table["split"], strict=True) if split == "test"]
    assert tested == [str(row) for row in range(36, ROWS)]
    assert store.table.groupby("cluster")["split"].nunique().max() == 1
    assert record["dropped"] == {"no_split": 1}
    assert (source / "store" / "dropped.csv").read_text(encoding="utf-8") == "id,reason\n5,no_split\n"
    split = record["split"]
    assert (split["column"], split["drawn"]) == ("fold", ["validation"])
    assert (split["counts"]["test"], sum(split["counts"].values())) == (12, ROWS - 1)
    assert split["shares"] == {name: split["counts"][name] / (ROWS - 1) for name in SPLITS}
    assert record["notes"] == ["column 'fold' has no validation rows: 17% of its training rows became that"]
    assert "meta_fold" not in store.table.columns
    audited = audit_store(store.path, permutations=20, html=source / "page.html")["store"]
    assert (audited["split_column"], audited["split_drawn"]) == ("fold", ["validation"])
    page = (source / "page.html").read_text(encoding="utf-8")
    assert "fold; validation was drawn from its training rows" in page


def test_the_column_is_part_of_what_a_store_depends_on(source):
    first = build(source)
    assert build(source) == first
    with pytest.raises(RunError, match="split_column='fold', now None"):
        build(source, split_column=None)
    drawn = build(source, split_column=None, force=True)
    assert "column" not in drawn["split"]
    assert drawn["fingerprint"] != first["fingerprint"]


@pytest.mark.parametrize(
    ("column", "kind", "said"),
    [
        ("folds", UnknownNameError, "did you mean 'fold'"),
        ("cut", DataError, "column 'cut': 1 value of 'lesion', such as 'L17', is in several splits"),
        ("odd", DataError, "column 'odd' holds 'fold 1'"),
        ("", ConfigError, "--split-column '' names no column"),
        ("most", DataError, "36 of 48 rows dropped .no_split 36; .*; check --split-column, or raise it"),
        ("none", DataError, "no row left of 48 .no_split 48; .*; check --split-column"),
    ],
)
def test_a_column_that_is_no_split_leaves_no_store(source, column, kind, said):
    with pytest.raises(kind, match=said):
        build(source, split_column=column)
    assert sorted(path.name for path in source.iterdir()) == ["images", "table.csv"]


def test_an_image_that_cannot_be_read_may_take_a_class_from_train(source):
    for row in (*range(2, 36, 4), *range(3, 36, 4)):
        (source / "images" / f"{row}.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="column 'fold' leaves no training image of class 'b'"):
        build(source)
    assert not (source / "store").exists()


def test_the_flag_is_the_option(source: Path, capsys: pytest.CaptureFixture[str]):
    options = ["--id", "image_id", "--label", "dx", "--attributes", "sex", "--cluster", "lesion", "--size", "8"]
    places = ["--images", str(source / "images"), "--metadata", str(source / "table.csv"), "--out", str(source / "st")]
    assert run(["prepare", *places, *options, "--split-column", "fold"]) == 0
    assert "note: column 'fold' has no validation rows" in capsys.readouterr().out
    assert Store.open(source / "st").info.split["column"] == "fold"
    assert run(["prepare", *places, *options, "--split-column", "fold"]) == 0
    assert "images edited since are not noticed; --force reads all anew" in capsys.readouterr().out
