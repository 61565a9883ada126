"""The verb ``audit`` on runs and stores."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest

from mindgap.api import audit
from mindgap.core.errors import ConfigError, DataError, RunError
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.testing.tiny_store import SIZE_PX, write_tiny_store
from mindgap.workflows.train import train

FEW = {"bootstrap": 20, "permutations": 20}


def strict(path):
    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished train run."""
    block = BlockSpec(type="cb", out_channels=8, choices={"kernel": 3, "hidden_channels": 8})
    network = Architecture(
        name="tiny", input_px=SIZE_PX, num_classes=2, stem=Stem(channels=8), blocks=(block,), head=Head(width=16)
    )
    place = tmp_path_factory.mktemp("run")
    (place / "tiny.json").write_text(network.to_json())
    store, folder = write_tiny_store(place / "store", n=120), place / "run"
    train(store, network=place / "tiny.json", out=folder, epochs=1, precision="fp32", **FEW)
    return folder


def test_a_run_is_audited_as_it_audited_itself(run):
    itself = json.loads((run / "metrics.json").read_text())
    record = audit(run, **FEW)
    del record["attributes"]["sex"]["out_of_range"]
    assert {key: record[key] for key in itself["test"]} == itself["test"]
    assert record["options"]["split"] == "test"
    validation = audit(run, split="validation", **FEW)
    assert validation["overall"]["accuracy"] == itself["validation"]["overall"]["accuracy"]


def test_groups_of_a_run_stand_in_the_order_of_its_store(run, tmp_path, made):
    folder = tmp_path / "run"
    folder.mkdir()
    columns = made() | {"age": np.array(["5-10", "10-20", "20-5"])[np.arange(240) % 3], "patient": None}
    pd.DataFrame({k: v for k, v in columns.items() if v is not None}).to_parquet(folder / "predictions.parquet")
    groups = [{"name": name} for name in ("5-10", "10-20", "20-5", "absent")]
    (folder / "provenance.json").write_text(json.dumps({"store_summary": {"attributes": {"age": {"groups": groups}}}}))
    record = audit(folder, **FEW)
    assert list(record["attributes"]) == ["sex", "age"]
    assert list(record["attributes"]["age"]["groups"]) == ["5-10", "10-20", "20-5"]


def test_attributes_of_a_run_that_cannot_be_judged_are_left_out_and_said(tmp_path, caplog, made):
    columns = made() | {"sex": ["a"] * 240, "patient": None}
    pd.DataFrame({k: v for k, v in columns.items() if v is not None}).to_parquet(tmp_path / "predictions.parquet")
    assert list(audit(tmp_path, **FEW)["attributes"]) == ["age"]
    assert caplog.messages == ["sex is not audited: attribute 'sex' has one group only, 'a'; a gap needs two"]
    with pytest.raises(DataError, match="attribute 'sex' has one group only"):
        audit(tmp_path, attributes="sex", **FEW)


def test_columns_of_other_tables_are_no_attributes_of_a_run_unless_asked_for(tmp_path, made):
    columns = {name: cells for name, cells in made().items() if name not in {"age", "patient"}}
    pd.DataFrame(columns).to_parquet(tmp_path / "predictions.parquet")
    pd.DataFrame({"id": columns["id"], "site": ["x", "y"] * 120}).to_csv(tmp_path / "m.csv", index=False)
    assert list(audit(tmp_path, table=tmp_path / "m.csv", **FEW)["attributes"]) == ["sex"]
    assert list(audit(tmp_path, table=tmp_path / "m.csv", attributes="site", **FEW)["attributes"]) == ["site"]


def test_folders_without_predictions_say_what_they_are(tmp_path):
    with pytest.raises(RunError, match="is a folder without store"):
        audit(tmp_path)
    (tmp_path / "config.toml").write_text('verb = "train"\n[options]\n')
    with pytest.raises(RunError, match="this run has no predictions"):
        audit(tmp_path)
    (tmp_path / "search.json").write_text('{"presets": ["fair", "acc"]}')
    with pytest.raises(RunError, match=r"holds a run per preset \(fair, acc\); name one of its folders"):
        audit(tmp_path)


def test_the_files_of_a_run_are_not_replaced_by_its_audit(run):
    with pytest.raises(ConfigError, match="would be lost"):
        audit(run, html=run / "report.html", **FEW)
    audit(run, json=run / "audit.json", **FEW)
    (run / "audit.json").unlink()


@pytest.mark.parametrize(
    "options", [{"cluster": "c"}, {"split": "test"}, {"table": "m.csv"}, {"id": "i"}, {"label": "l"}, {"bootstrap": 5},
                {"interval": "bca"}, {"floor": "all-classes"}],
)  # fmt: skip
def test_options_of_predictions_do_not_fit_a_store(tmp_path, options):
    store = write_tiny_store(tmp_path / "store", n=60)
    with pytest.raises(ConfigError, match=f"is a store, which has no predictions, so --{next(iter(options))} "):
        audit(store, **options)


def test_what_a_store_assumes_can_be_said_and_fits_nothing_else(table, tmp_path):
    store = write_tiny_store(tmp_path / "store", n=60)
    detectable = audit(store, accuracy=0.9, icc=0.25, permutations=5)["attributes"]["sex"]["detectable"]
    assert (detectable["accuracy"], detectable["icc"]) == (0.9, 0.25)
    usual = audit(store, permutations=5)["attributes"]["sex"]["detectable"]
    assert (usual["accuracy"], usual["icc"]) == (0.8, 0.5)
    with pytest.raises(ConfigError, match=r"accuracy=2: the accuracy assumed must lie between 0 and 1"):
        audit(store, accuracy=2.0)
    for name in ("accuracy", "icc"):
        with pytest.raises(ConfigError, match=f"is no store, so --{name} 0.5 does not fit; leave it out"):
            audit(table(), attributes="sex", **{name: 0.5}, **FEW)


def test_a_store_is_audited_by_itself(tmp_path):
    pytest.importorskip("mindgap.workflows.audit_store")
    store = write_tiny_store(tmp_path / "store", n=60)
    record = audit(store, json=tmp_path / "audit.json", html=tmp_path / "audit.html", permutations=20)
    assert strict(tmp_path / "audit.json") == record
    assert "<html" in (tmp_path / "audit.html").read_text()


def test_the_page_of_an_audit_tells_no_path_above_the_last_folder(table, tmp_path, made):
    (tmp_path / "clinic").mkdir()
    path = table(made() | {"patient": None}, name="clinic/predictions.csv")
    sites = table({"id": made()["id"], "site": ["x", "y"] * 120}, name="clinic/sites.csv")
    record = audit(path, attributes="site", table=sites, html=tmp_path / "audit.html", **FEW)
    page = (tmp_path / "audit.html").read_text()
    assert str(tmp_path) not in page
    assert tmp_path.name not in page
    assert "clinic/predictions.csv" in page
    assert "clinic/sites.csv" in page
    assert (record["source"], record["options"]["tables"]) == (str(path), [str(sites)])


def test_the_page_of_an_audit_is_written_whole(table, tmp_path):
    pytest.importorskip("mindgap.report.audit_page")
    audit(table(), attributes="sex", html=tmp_path / "new" / "audit.html", **FEW)
    assert (tmp_path / "new" / "audit.html").read_text().rstrip().endswith("</html>")
    assert os.listdir(tmp_path / "new") == ["audit.html"]
