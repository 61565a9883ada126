"""A group of one image rules no figure of an export: it is left out as the run did, or as being small."""

from __future__ import annotations

import pandas as pd
import pytest

from mindgap.cli.verbs.export import export_lines
from mindgap.core.files import read_json, write_json
from mindgap.data.image_store import Store
from mindgap.metrics.predictions import read_predictions
from mindgap.metrics.unfairness import unfairness
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.workflows.export import export
from mindgap.workflows.search import search

from .conftest import make_run

FEW = {"int8": True, "bootstrap": 50, "permutations": 20}


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A store in whose validation split over 30 images are of a, as many of b, and one of c."""
    path = write_tiny_store(tmp_path_factory.mktemp("uneven") / "store", n=400, minority=0.5)
    table, record = pd.read_parquet(path / "table.parquet"), read_json(path / "store.json")
    row = table.index[(table["split"] == "validation") & (table["sex"] == "b")][0]
    table.loc[row, "sex"] = "c"
    table.to_parquet(path / "table.parquet")
    sizes = table.groupby(["sex", "split"]).size()
    record["attributes"]["sex"]["groups"] = [
        {"name": name, "n": int(sizes[name].sum())}
        | {split: int(sizes.get((name, split), 0)) for split in ("train", "validation", "test")}
        for name in ("a", "b", "c")
    ]
    write_json(path / "store.json", record)
    opened = Store.open(path)
    counts = opened.groups("sex").take(opened.rows("validation")).counts()
    assert counts[0] >= 30
    assert counts[1] >= 30
    assert counts[2] == 1
    return path


@pytest.fixture(scope="module")
def uneven_run(uneven, tmp_path_factory):
    return make_run(uneven, tmp_path_factory.mktemp("uneven") / "run", epochs=2)


def gaps(record):
    return [record["int8"][name]["attributes"]["sex"]["gaps"]["unfairness"] for name in ("float32", "int8")]


def test_small_groups_are_left_out_and_named_where_the_run_left_none_out(uneven_run, tmp_path):
    record = export(uneven_run, out=tmp_path / "a.onnx", **FEW)
    compared = record["int8"]
    assert compared["left_out"] == {"sex": ["c"]}
    assert compared["float32"]["attributes"]["sex"]["left_out"] == ["c"]
    assert compared["float32"]["attributes"]["sex"]["groups"]["c"]["n"] == 1
    before, after = gaps(record)
    assert before["low"] is not None
    assert after["low"] is not None
    change = compared["change"]["unfairness"]["sex"]
    assert change["value"] == pytest.approx(after["value"] - before["value"])
    assert change["n"] == before["n"] == compared["float32"]["attributes"]["sex"]["n"] - 1
    printed = [line for line in export_lines(record) if line.startswith("  U (")]
    assert [line.partition(":")[0] for line in printed] == [
        f"  U (sex without c), {of}" for of in ("float32", "int8", "change")
    ]


def test_what_a_search_recorded_goes_before_the_size(uneven_run, copy_of, tmp_path):
    copied = copy_of(uneven_run)
    for names, left_out in ((["b", "c"], ["b", "c"]), ([], None)):
        write_json(copied / "search.json", {"attribute": "sex", "excluded_groups": names})
        record = export(copied, out=tmp_path / "a.onnx", force=True, **FEW)
        assert record["int8"]["left_out"].get("sex") == left_out
    assert gaps(record)[0]["reason"] == "no interval: group 'c' has 1 cluster"


def test_u_of_a_searchs_network_has_the_groups_of_the_search(uneven, tmp_path):
    config = write_tiny_config(tmp_path, trials=2, epochs=1, reward={"min_group": 5, "accuracy_floor": 0.0})
    found = search(uneven, out=tmp_path / "run", config=config)
    assert found["excluded_groups"] == ["c"]
    record = export(tmp_path / "run", out=tmp_path / "a.onnx", **FEW)
    assert record["int8"]["left_out"] == {"sex": ["c"]}
    own = read_predictions(tmp_path / "run" / "predictions.parquet", attributes=["sex"], split="validation")
    compared = own.take((own.groups["sex"].ids != own.groups["sex"].names.index("c")).nonzero()[0])
    value, _ = unfairness(compared.labels, compared.predicted, compared.groups["sex"], exclude=["c"])
    assert gaps(record)[0]["value"] == pytest.approx(value)
