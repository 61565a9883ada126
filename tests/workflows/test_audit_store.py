from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from mindgap.core.errors import CapacityError, DataError, UnknownNameError
from mindgap.testing.tiny_store import SIZE_PX, write_tiny_store
from mindgap.workflows.audit_store import audit_store


@pytest.fixture
def store(tmp_path):
    return write_tiny_store(tmp_path / "store")


def change(store, how):
    how(pd.read_parquet(store / "table.parquet")).to_parquet(store / "table.parquet")


def images_of(store, n=300):
    return np.memmap(store / "images.bin", dtype=np.uint8, mode="r+", shape=(n, SIZE_PX, SIZE_PX, 3))


def test_the_record_and_the_page_are_written_where_told(store, tmp_path):
    record = audit_store(store, json=tmp_path / "a" / "audit.json", html=tmp_path / "audit.html", permutations=50)
    assert json.loads((tmp_path / "a" / "audit.json").read_text(encoding="utf-8")) == record
    assert "<title>Data set store" in (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert record["store"]["fingerprint"] == "tiny-300-False-0.4"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "audit.html", "store"]


@pytest.mark.parametrize("option", ["json", "html"])
def test_a_file_that_cannot_be_written_leaves_no_new_folder(store, tmp_path, option):
    with pytest.raises(CapacityError):
        audit_store(store, permutations=5, **{option: tmp_path / "new" / "deep" / ("x" * 300)})
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_an_untouched_store_has_no_leak(store):
    record = audit_store(store, permutations=50)
    assert record["clusters"]["in_several_splits"]["clusters"] == 0
    assert record["duplicates"]["identical"]["pairs"] == 0
    assert record["attributes"]["sex"]["unknown"] == 20
    assert record["clusters"]["sizes"] == {"2": 150}


def test_a_planted_leak_is_found_by_cluster_by_bytes_and_by_likeness(store):
    def move_one_of_a_pair(table):
        table.loc[table["id"] == "i1", "split"] = "test"
        return table

    change(store, move_one_of_a_pair)
    images = images_of(store)
    images[18] = images[2]  # i2 trains, i18 tests
    images[19] = images[3]
    images[19, 5, 5] ^= 7
    images.flush()
    record = audit_store(store, permutations=50)
    spanning = record["clusters"]["in_several_splits"]
    assert spanning["examples"] == [{"cluster": "c0", "ids": ["i0", "i1"], "splits": ["train", "test"]}]
    copies = record["duplicates"]["identical"]["across_splits"]
    assert copies["examples"] == [{"ids": ["i2", "i18"], "splits": ["train", "test"], "bits": 0}]
    alike = record["duplicates"]["near"]["across_splits"]
    assert alike["pairs"] == 2
    assert ["i3", "i19"] in [example["ids"] for example in alike["examples"]]


def test_copies_with_another_label_are_named(store):
    images = images_of(store)
    images[2] = images[0]  # the labels of i0 and i2 differ, both train
    images.flush()
    found = audit_store(store, permutations=50)["duplicates"]["identical"]
    assert found["across_labels"]["examples"][0]["ids"] == ["i0", "i2"]
    assert found["across_splits"]["pairs"] == 0
    assert found["within_splits"]["pairs"] == 1


def test_several_labels_are_audited_too(tmp_path):
    store = write_tiny_store(tmp_path / "many", multi_label=True)
    record = audit_store(store, html=tmp_path / "page.html", permutations=50)
    assert record["task"] == "multi-label"
    assert record["duplicates"]["near"]["across_labels"]["pairs"] == 0
    assert "Label" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_measured_tones_are_shown_where_they_are(store, tmp_path):
    degrees = np.where(np.arange(300) % 3 == 0, -20.0, 50.0)
    degrees[:7] = np.nan
    bands = pd.Series(np.where(degrees > 0, "II", "V")).where(~np.isnan(degrees))
    change(store, lambda table: table.assign(ita_degrees=degrees, tone=bands, ita_flags="cast"))
    record = audit_store(store, html=tmp_path / "page.html", attributes="sex,tone,sex*tone", permutations=50)
    assert record["tone"]["bands"]["V"]["n"] == record["tone"]["darker_than_iii"]
    assert record["tone"]["unknown"] == 7
    assert list(record["attributes"]["tone"]["groups"]) == ["II", "V"]
    assert record["attributes"]["tone"]["unknown"] == 7
    assert "typology angle" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_same_seed_gives_the_same_record_and_another_one_other_draws(store):
    first, again, other = (audit_store(store, permutations=50, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    with pytest.raises(DataError, match="no store here"):
        audit_store(tmp_path)


def truncate(store):
    with (store / "images.bin").open("r+b") as file:
        file.truncate(10)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (truncate, "the store is damaged"),
        (lambda store: (store / "store.json").write_text("{", encoding="utf-8"), "not valid JSON"),
        (lambda store: (store / "table.parquet").write_bytes(b"PAR1"), "cannot read"),
        (lambda store: change(store, lambda table: table.iloc[:-1]), "299 rows"),
        (lambda store: change(store, lambda table: table.drop(columns="cluster")), "no column 'cluster'"),
        (lambda store: change(store, lambda table: table.assign(split="tset")), "split 'tset'"),
        (lambda store: change(store, lambda table: table.assign(label="blue")), "label 'blue'"),
        (lambda store: change(store, lambda table: table.drop(columns="sex")), "no column 'sex'"),
    ],
)
def test_a_damaged_store_is_refused_in_one_line_and_nothing_is_written(store, tmp_path, damage, said):
    damage(store)
    with pytest.raises(DataError, match=said) as refused:
        audit_store(store, json=tmp_path / "audit.json", html=tmp_path / "audit.html")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "audit.json").exists()
    assert not (tmp_path / "audit.html").exists()


def test_what_cannot_be_named_or_written_is_refused(store, tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'sex'"):
        audit_store(store, attributes="sez")
    with pytest.raises(UnknownNameError, match="only after `mindgap tone`"):
        audit_store(store, attributes="tone")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(CapacityError, match="cannot write"):
        audit_store(store, json=tmp_path / "file" / "audit.json", permutations=50)
