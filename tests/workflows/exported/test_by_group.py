"""Runs whose mitigation predicts by each image's group: kept, read, and used with and without it."""

from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pandas as pd
import pytest

from mindgap.core.errors import DataError, RunError
from mindgap.core.files import read_json, write_json
from mindgap.data.image_store import Store
from mindgap.metrics.predictions import read_predictions
from mindgap.train.trained_model import read_trained_model
from mindgap.workflows.export import export
from mindgap.workflows.predict import predict
from mindgap.workflows.train import train

NAMES = ("domainindep", "fairadabn")


@pytest.fixture(scope="module", params=NAMES)
def by_group(request, run, store, tmp_path_factory):
    """A run by such a mitigation."""
    folder = tmp_path_factory.mktemp("by_group") / request.param
    options = {"epochs": 4, "batch_size": 16, "bootstrap": 20, "permutations": 20, "precision": "fp32"}
    train(store, network=run.with_suffix(".json"), out=folder, mitigation=request.param, **options)
    return folder


def chances_of(path):
    table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    return table[[name for name in table if name.startswith("prob_")]].to_numpy()


def own_predictions(folder):
    return read_predictions(folder / "predictions.parquet", attributes=["sex"]).probabilities


def test_the_run_keeps_what_its_network_is_rebuilt_by(by_group, store):
    kept = json.loads((by_group / "mitigation.json").read_text())
    opened = Store.open(store)
    counts = opened.groups("sex").take(opened.rows("train")).counts().tolist()
    assert (kept["version"], kept["name"]) == (1, by_group.name)
    assert kept["attributes"] == [{"name": "sex", "groups": ["a", "b"], "counts": counts}]
    model = read_trained_model(by_group)
    assert model.kept.attribute.groups == ("a", "b")
    assert not model.network.training
    assert not model.without_groups().training


def test_its_record_and_page_have_both_forms(by_group):
    record = json.loads((by_group / "metrics.json").read_text())
    assert set(record["without_groups"]) == {"validation", "test"}
    for split in ("validation", "test"):
        assert record["without_groups"][split]["n"] == record[split]["n"]
    page = (by_group / "report.html").read_text()
    assert "With and without the image's group" in page or "With and without the image&#39;s group" in page
    assert f"{record['without_groups']['test']['attributes']['sex']['gaps']['unfairness']['value']:.3f}" in page


def test_a_plain_run_keeps_none_of_it(run):
    assert not (run / "mitigation.json").exists()
    assert "without_groups" not in json.loads((run / "metrics.json").read_text())
    assert "Without groups" not in (run / "report.html").read_text()


def test_predicting_the_store_gives_the_runs_own_predictions(by_group, store, tmp_path):
    record = predict(by_group, store, out=tmp_path / "a.csv")
    assert record["predicts_by"] == "sex"
    np.testing.assert_allclose(chances_of(tmp_path / "a.csv"), own_predictions(by_group), atol=1e-5)


def test_without_groups_it_is_what_the_record_audits_the_export_and_a_folder(
    by_group, store, images, classes, tmp_path, caplog
):
    with caplog.at_level(logging.INFO, logger="mindgap"):
        record = predict(by_group, store, out=tmp_path / "a.csv", without_groups=True)
    assert record["predicts_by"] is None
    assert "predicts by its form without groups of sex" in caplog.text
    alone = chances_of(tmp_path / "a.csv")
    assert not np.allclose(alone, own_predictions(by_group), atol=1e-3)
    opened = Store.open(store)
    right = alone.argmax(axis=1) == opened.labels[opened.rows("test")]
    audited = json.loads((by_group / "metrics.json").read_text())["without_groups"]["test"]
    assert right.mean() == pytest.approx(audited["overall"]["accuracy"]["value"])

    written = export(by_group, out=tmp_path / "a.onnx", bootstrap=20, permutations=20)
    assert written["without_groups"] == by_group.name
    predict(tmp_path / "a.onnx", store, out=tmp_path / "b.csv")
    np.testing.assert_allclose(chances_of(tmp_path / "b.csv"), alone, atol=1e-4)

    caplog.clear()
    with caplog.at_level(logging.INFO, logger="mindgap"):
        found = predict(by_group, images, out=tmp_path / "c.csv", workers=1)
    assert (found["predicts_by"], found["source"]) == (None, "folder")
    assert "predicts by its form without groups of sex" in caplog.text
    ids = opened.ids[opened.rows("test")].tolist()
    table = pd.read_csv(tmp_path / "c.csv").set_index("id")
    np.testing.assert_allclose(table.to_numpy(), alone[[ids.index(name) for name in table.index]], atol=1e-4)


def other_store(store, folder, groups):
    """A copy of a store whose groups of sex have other names; None takes the attribute away."""
    shutil.copytree(store, folder)
    table, record = pd.read_parquet(folder / "table.parquet"), read_json(folder / "store.json")
    if groups is None:
        table["hair"] = table.pop("sex")
        record["attributes"] = {"hair": record["attributes"]["sex"]}
        record["default_attribute"] = "hair"
    else:
        table["sex"] = table["sex"].map(groups)
        for group in record["attributes"]["sex"]["groups"]:
            group["name"] = groups[group["name"]]
    table.to_parquet(folder / "table.parquet")
    write_json(folder / "store.json", record)
    return folder


def test_groups_that_the_run_did_not_know_are_unknown(by_group, store, tmp_path, caplog):
    opened = Store.open(store)
    is_b = opened.groups("sex").ids[opened.rows("test")] == 1
    predict(by_group, store, out=tmp_path / "alone.csv", without_groups=True)
    alone, own = chances_of(tmp_path / "alone.csv"), own_predictions(by_group)

    other = other_store(store, tmp_path / "foreign", {"a": "a", "b": "diverse"})
    with caplog.at_level(logging.INFO, logger="mindgap"):
        assert predict(by_group, other, out=tmp_path / "a.csv")["predicts_by"] == "sex"
    assert "predicted as of unknown sex: diverse" in caplog.text
    np.testing.assert_allclose(chances_of(tmp_path / "a.csv"), np.where(is_b[:, None], alone, own), atol=1e-5)

    swapped = other_store(store, tmp_path / "swapped", {"a": "b", "b": "a"})
    predict(by_group, swapped, out=tmp_path / "swapped.csv")
    assert not np.allclose(chances_of(tmp_path / "swapped.csv"), own, atol=1e-3), "groups go by name, not by number"

    for name, groups, said in (
        ("none", {"a": "x", "b": "y"}, "has no image of a, b"),
        ("no-sex", None, "has no attribute 'sex'"),
    ):
        other = other_store(store, tmp_path / name, groups)
        with caplog.at_level(logging.INFO, logger="mindgap"):
            assert predict(by_group, other, out=tmp_path / f"{name}.csv")["predicts_by"] is None
        assert said in caplog.text
        np.testing.assert_allclose(chances_of(tmp_path / f"{name}.csv"), alone, atol=1e-5)


def test_what_it_keeps_is_checked_when_it_is_read(by_group, tmp_path):
    copied = tmp_path / "copied"
    shutil.copytree(by_group, copied)
    record = read_json(copied / "mitigation.json")
    for change, message in (
        ({"attributes": []}, "attributes"),
        ({"options": {"nonsense": 1}}, "unknown key 'nonsense'.*the file is damaged"),
        ({"attributes": [record["attributes"][0] | {"counts": [1]}]}, "2 groups and 1 counts"),
        ({"attributes": [record["attributes"][0] | {"groups": ["a", "b", "c"], "counts": [1, 1, 1]}]}, "differ at"),
    ):
        write_json(copied / "mitigation.json", record | change)
        with pytest.raises(DataError, match=message):
            read_trained_model(copied)
    write_json(copied / "mitigation.json", [1])
    with pytest.raises(DataError, match="holds a list, not an object"):
        read_trained_model(copied)
    (copied / "mitigation.json").unlink()
    with pytest.raises(RunError, match=r"predicts by more than the network, which the run did not keep"):
        read_trained_model(copied)


@pytest.mark.parametrize("name", NAMES)
def test_eight_bits_folds_and_several_labels(name, run, multi_label_store, tmp_path):
    options = {"epochs": 1, "batch_size": 16, "bootstrap": 20, "permutations": 20, "precision": "fp32"}
    options |= {"network": run.with_suffix(".json"), "mitigation": name}
    train(multi_label_store, out=tmp_path / "run", **options)
    predict(tmp_path / "run", multi_label_store, out=tmp_path / "a.csv")
    own = pd.read_parquet(tmp_path / "run" / "predictions.parquet").query("split == 'test'").filter(like="prob_")
    np.testing.assert_allclose(chances_of(tmp_path / "a.csv"), own.to_numpy(), atol=1e-5)
    written = export(tmp_path / "run", out=tmp_path / "a.onnx", int8=True, bootstrap=20, permutations=20)
    assert written["agreement"]["max_difference"] < 1e-4
    assert written["int8"]["n"] == len(Store.open(multi_label_store).rows("validation"))

    folds = train(multi_label_store, out=tmp_path / "folds", folds=2, **options)
    assert folds["without_groups"]["test"]["n"] == folds["test"]["n"] == Store.open(multi_label_store).n
    assert (tmp_path / "folds" / "folds" / "0" / "mitigation.json").is_file()
    assert "Without groups" in (tmp_path / "folds" / "report.html").read_text()
