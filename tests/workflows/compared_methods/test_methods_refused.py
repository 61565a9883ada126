"""Comparisons of methods that cannot be made: one line, and nothing is written."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from mindgap.api import compare
from mindgap.core.errors import MindgapError
from mindgap.data.image_store import Store


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": "maxgroup,nothing"}, "mitigations: no 'nothing'"),
        ({"methods": "maxgroup,maxgroup"}, "methods names 'maxgroup' twice"),
        ({"methods": "erm"}, "give one or more besides 'erm'"),
        ({"methods": ""}, "methods is empty: give one or more"),
        ({"seeds": 0}, "seeds is 0: give 1 or more"),
        ({"select": "worst"}, "select is 'worst'"),
        ({"tuner": "grid"}, "tuner is 'grid'"),
        ({"tuner": "tpe", "trials": 4}, "learns from 4 runs of a method, and trials is 4; give 5 or more"),
        ({"gap": "unfair"}, "gap 'unfair' is unknown for this task; did you mean 'unfairness'"),
        ({"attribute": "sex,age"}, "methods are compared on one attribute"),
        ({"attribute": "tone"}, "tone"),
        ({"min_group": 500}, "fewer than two groups have 500 validation images"),
        ({"network": "resnet81"}, "did you mean 'resnet18'"),
        ({"batch_size": 1}, "batch_size is 1: give 2 or more"),
        ({"schedule": "never"}, "schedule is 'never'"),
        ({"placement": "moon"}, "placements: no 'moon'"),
        ({"network": None}, "--network is missing"),
        ({"split": "test"}, "--split is for runs"),
        ({"attributes": "sex"}, "--attributes is for runs"),
        ({"bootstrap": -1}, "bootstrap=-1: need 0 or more"),
    ],
)
def test_what_is_wrong_is_one_line_before_anything_is_written(store, call, tmp_path, changes, said):
    with pytest.raises(MindgapError) as error:
        call(store, tmp_path / "run", **changes)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_options_of_methods_are_refused_where_runs_are_named_and_stores_among_runs(undisturbed, store, call, tmp_path):
    run, _ = undisturbed
    with pytest.raises(MindgapError, match="--methods is for methods trained on a store"):
        compare(run, run, methods="maxgroup")
    with pytest.raises(MindgapError, match="is a store, among 2 arguments"):
        compare(store, run)
    with pytest.raises(MindgapError, match="is a store, among runs"):
        compare(run, store)
    shutil.copytree(store, tmp_path / "store")
    table = pd.read_parquet(store / "table.parquet")
    table["split"] = table["split"].replace("test", "train")
    table.to_parquet(tmp_path / "store" / "table.parquet")
    assert not len(Store.open(tmp_path / "store").rows("test"))
    with pytest.raises(MindgapError, match="has no test images, on which methods are compared"):
        call(tmp_path / "store", tmp_path / "none")


def test_too_few_test_images_of_a_group_are_refused_before_anything_is_trained(store, call, tmp_path):
    shutil.copytree(store, tmp_path / "store")
    table = pd.read_parquet(store / "table.parquet")
    table.loc[(table["split"] == "test") & (table["sex"] == "b"), "sex"] = None
    table.to_parquet(tmp_path / "store" / "table.parquet")
    with pytest.raises(MindgapError, match=r"sex: fewer than two groups have 5 test images \(a \d+, b 0\)"):
        call(tmp_path / "store", tmp_path / "run")
    assert not (tmp_path / "run").exists()
