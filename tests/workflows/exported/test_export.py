"""The verb ``export`` from end to end on tiny runs."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from mindgap.cli.main import run as mindgap
from mindgap.cli.verbs.export import export_lines
from mindgap.core.errors import ConfigError, DataError, UnknownNameError
from mindgap.core.files import read_json, write_json
from mindgap.data.image_store import Store
from mindgap.export.compared_images import images_to_compare
from mindgap.metrics.predictions import read_predictions
from mindgap.testing.tiny_store import SIZE_PX
from mindgap.workflows.export import export
from mindgap.workflows.predict import predict


def test_the_file_carries_what_its_user_must_know(exported, classes, store):
    import onnx

    path, record = exported
    model = onnx.load(str(path))
    facts = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert facts["mindgap.classes"] == list(classes)
    assert facts["mindgap.task"] == "single-label"
    assert (facts["mindgap.input_px"], facts["mindgap.resize"]) == (SIZE_PX, "squash")
    assert facts["mindgap.mean"] == record["facts"]["mean"]
    assert facts["mindgap.weights"] == "float32"
    kinds = {node.op_type for node in model.graph.node}
    assert "BatchNormalization" not in kinds
    assert "Softmax" in kinds
    assert record["agreement"]["images"] == "validation"
    assert record["agreement"]["n"] == len(Store.open(store).rows("validation"))
    assert record["agreement"]["max_difference"] < 1e-5
    assert record["agreement"]["flipped"] == 0
    assert record["bytes"] == path.stat().st_size


def test_8_bit_integers_say_what_they_change(run, store, exported, tmp_path):
    record = export(run, out=tmp_path / "a.onnx", int8=True, bootstrap=50, permutations=20)
    compared, n = record["int8"], len(Store.open(store).rows("validation"))
    assert record["agreement"]["max_difference"] < 1e-5
    assert compared["n"] == n
    assert 0 < compared["max_difference"] < 0.1
    assert compared["flipped"] <= 0.1
    for audit in (compared["float32"], compared["int8"]):
        assert audit["n"] == n
        assert audit["attributes"]["sex"]["gaps"]["unfairness"]["noise_p95"] is not None
    metrics = read_json(run / "metrics.json")["validation"]["overall"]["accuracy"]["value"]
    assert compared["float32"]["overall"]["accuracy"]["value"] == metrics
    gaps = [compared[name]["attributes"]["sex"]["gaps"]["unfairness"]["value"] for name in ("float32", "int8")]
    assert compared["change"]["unfairness"]["sex"]["value"] == pytest.approx(gaps[1] - gaps[0])
    lines = export_lines(record)
    assert [line.partition(":")[0].strip() for line in lines[4:]] == [
        f"{figure}, {of}" for figure in ("accuracy", "U (sex)") for of in ("float32", "int8", "change")
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    chances = []
    for file in (tmp_path / "a.onnx", exported[0]):
        predict(file, store, out=tmp_path / "a.parquet", split="validation", force=True)
        chances.append(read_predictions(tmp_path / "a.parquet", attributes=[], split="validation").probabilities)
    assert np.abs(chances[0] - chances[1]).max() == pytest.approx(compared["max_difference"])


def test_several_labels_have_sigmoids_and_a_gap_each(multi_label_store, multi_label_run, tmp_path):
    store, run = multi_label_store, multi_label_run
    record = export(run, out=tmp_path / "a.onnx", int8=True, bootstrap=20, permutations=10)
    assert record["facts"]["task"] == "multi-label"
    lines = export_lines(record)
    assert sum("label red: U (sex)" in line for line in lines) == 3
    assert sum("label even: U (sex)" in line for line in lines) == 3
    predict(tmp_path / "a.onnx", store, out=tmp_path / "a.csv")
    predictions = read_predictions(tmp_path / "a.csv", attributes=["sex"])
    assert predictions.label_names == ("red", "even")
    predict(run, store, out=tmp_path / "b.csv")
    assert read_predictions(tmp_path / "b.csv", attributes=["sex"]).n == predictions.n


def test_without_a_store_random_images_are_compared_and_int8_is_refused(run, copy_of, tmp_path):
    copied = copy_of(run, store=str(tmp_path / "gone"))
    record = export(copied, out=tmp_path / "a.onnx")
    assert record["agreement"]["images"] == "random"
    with pytest.raises(DataError, match=r"its store .*gone is not there any more"):
        export(copied, out=tmp_path / "b.onnx", int8=True)
    assert not (tmp_path / "b.onnx").exists()


def test_int8_is_refused_where_the_store_changed_or_has_no_validation_images(run, store, copy_of, tmp_path):
    other = tmp_path / "store"
    shutil.copytree(store, other)
    copied = copy_of(run, store=str(other))
    write_json(other / "store.json", read_json(store / "store.json") | {"fingerprint": "other"})
    with pytest.raises(DataError, match=r"holds other data than when .*copied was trained"):
        export(copied, out=tmp_path / "a.onnx", int8=True)
    shutil.copy(store / "store.json", other)
    table = pd.read_parquet(other / "table.parquet")
    table["split"] = table["split"].replace("validation", "test")
    table.to_parquet(other / "table.parquet")
    with pytest.raises(DataError, match="has no validation images, which --int8 needs"):
        export(copied, out=tmp_path / "a.onnx", int8=True)
    compared = images_to_compare(Store.open(other), size_px=SIZE_PX)
    assert (compared.kind, compared.images.shape) == ("training", (72, SIZE_PX, SIZE_PX, 3))


def test_an_unknown_format_names_the_near_one(run, tmp_path):
    with pytest.raises(UnknownNameError, match="exporters: no 'onxn'; did you mean 'onnx'"):
        export(run, out=tmp_path / "a.onnx", format="onxn")
    with pytest.raises(ConfigError, match=r"a\.csv: ends in '\.csv'; give a name that ends in \.onnx"):
        export(run, out=tmp_path / "a.csv")


def test_the_command_line_prints_what_was_done(run, images, store, tmp_path, capsys):
    file = tmp_path / "a.onnx"
    assert mindgap(["export", str(run), "--format", "onnx", "--out", str(file)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].endswith(f"uint8 images (n, {SIZE_PX}, {SIZE_PX}, 3) to 2 probabilities")
    assert out[1].startswith("float32 file against the network, 24 validation images: ")
    assert mindgap(["predict", str(file), str(images), "--out", str(tmp_path / "a.csv")]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("skipped 2 files: broken.jpg (unreadable), ")
    assert out[1] == f"{tmp_path / 'a.csv'}: 24 images, no labels, computed in float32"
    assert mindgap(["predict", str(run), str(store), "--out", str(tmp_path / "a.csv")]) == 2
    assert capsys.readouterr().err == (
        f"error: {tmp_path / 'a.csv'}: is there already; choose another --out, or --force to replace it\n"
    )
    assert mindgap(["predict", str(run), str(store), "--out", str(tmp_path / "a.csv"), "--force"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert "split test" in out[0]
    assert out[1] == f"next: mindgap audit {tmp_path / 'a.csv'} --attributes sex --split test"
    assert mindgap(["list", "exporters"]) == 0
    assert capsys.readouterr().out.startswith("onnx  ONNX: ")
