from __future__ import annotations

import pandas as pd
import pytest

from mindgap.core.errors import ConfigError, DataError, UnknownNameError
from mindgap.data.image_store import Store
from mindgap.data.store_attributes import store_attributes
from mindgap.testing.tiny_store import write_tiny_store


@pytest.fixture
def folder(tmp_path):
    """A store with sex (two groups), and the columns age and site of its source."""
    path = write_tiny_store(tmp_path / "store")
    change(
        path, lambda table: table.assign(meta_age=[str(k % 60) for k in range(300)], meta_site=["x", "y", "z"] * 100)
    )
    return path


def change(path, how):
    how(pd.read_parquet(path / "table.parquet")).to_parquet(path / "table.parquet")


def test_without_asking_the_stores_own_attributes_are_taken(folder):
    found = store_attributes(Store.open(folder))
    assert list(found) == ["sex"]
    assert found["sex"].groups.names == ("a", "b")
    assert found["sex"].spec == "sex"


def test_columns_of_the_source_can_be_cut_and_crossed(folder):
    found = store_attributes(Store.open(folder), "site,age:bands=0/20/50,sex*site")
    assert found["site"].groups.names == ("x", "y", "z")
    assert found["age"].groups.names == ("0-20", "20-50")
    assert found["age"].out_of_range == int(9 / 60 * 300)
    assert found["sex*site"].groups.names[0] == "a*x"


def test_a_kept_column_whose_header_has_outer_blanks_is_named_without_them(folder):
    change(folder, lambda table: table.rename(columns={"meta_site": "meta_site "}))
    assert store_attributes(Store.open(folder), "site ,sex*site")["site"].groups.names == ("x", "y", "z")


def test_a_column_that_cannot_be_named_is_to_be_renamed(folder):
    change(folder, lambda table: table.rename(columns={"meta_site": "meta_site, body"}))
    said = r"no attribute 'site'; rename the column 'site, body': with a ',' .* given here; known: age, sex$"
    with pytest.raises(UnknownNameError, match=said):
        store_attributes(Store.open(folder), "site")


def test_unknown_and_unmeasured_columns_are_refused_with_the_near_name(folder):
    store = Store.open(folder)
    with pytest.raises(UnknownNameError, match="did you mean 'site'"):
        store_attributes(store, "sit")
    with pytest.raises(UnknownNameError, match="only after `mindgap tone`"):
        store_attributes(store, "tone")
    with pytest.raises(UnknownNameError, match="no attribute 'split'"):
        store_attributes(store, "split")
    with pytest.raises(ConfigError, match="empty name"):
        store_attributes(store, "")


def test_a_table_that_does_not_fit_store_json_is_refused(folder):
    change(folder, lambda table: table.assign(sex=table["sex"].replace("b", "c")))
    with pytest.raises(DataError, match="holds 'c' under 'sex', which store"):
        store_attributes(Store.open(folder))
    change(folder, lambda table: table.drop(columns="sex"))
    with pytest.raises(DataError, match="no column 'sex'"):
        store_attributes(Store.open(folder))
