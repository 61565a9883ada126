"""The verb ``predict`` from end to end on tiny runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from mindgap.core.errors import ConfigError, DataError, RunError, UnknownNameError
from mindgap.core.files import read_json, write_json
from mindgap.core.folder_lock import folder_lock
from mindgap.data.image_store import Store
from mindgap.metrics.predictions import read_predictions
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.workflows.predict import predict
from mindgap.workflows.search import search


def table_of(*arguments, **options):
    predict(*arguments, **options)
    return pd.read_csv(options["out"], dtype={"id": str}, keep_default_na=False)


def chances_of(table):
    return table[[name for name in table if name.startswith("prob_")]].to_numpy()


def test_a_run_and_its_file_predict_the_same_table_of_a_store(exported, classes, run, store, tmp_path):
    ours = table_of(run, store, out=tmp_path / "run.csv", precision="fp32")
    theirs = table_of(exported[0], store, out=tmp_path / "file.csv")
    assert list(ours) == ["id", "label", *(f"prob_{name}" for name in classes), "sex", "cluster", "split"]
    rest = [name for name in ours if not name.startswith("prob_")]
    pd.testing.assert_frame_equal(ours[rest], theirs[rest])
    np.testing.assert_allclose(chances_of(theirs), chances_of(ours), atol=1e-4)
    of_run = read_predictions(run / "predictions.parquet", attributes=["sex"])
    assert of_run.ids.tolist() == ours["id"].tolist()
    np.testing.assert_allclose(of_run.probabilities, chances_of(ours), atol=1e-5)


def test_predictions_of_a_store_can_be_audited(exported, classes, store, tmp_path):
    record = predict(exported[0], store, out=tmp_path / "all.parquet", split="all")
    assert (record["n"], record["split"], record["source"]) == (Store.open(store).n, "all", "store")
    predictions = read_predictions(tmp_path / "all.parquet", attributes=["sex"], split="all")
    opened = Store.open(store)
    assert predictions.classes == classes
    assert np.array_equal(predictions.labels, opened.labels)
    assert predictions.groups["sex"].names == ("a", "b")
    assert read_predictions(tmp_path / "all.parquet", attributes=["sex"]).n == len(opened.rows("test"))


def test_classes_in_another_order_are_put_in_the_stores(exported, classes, store, tmp_path):
    other = tmp_path / "store"
    shutil.copytree(store, other)
    write_json(other / "store.json", read_json(other / "store.json") | {"classes": list(reversed(classes))})
    ours = table_of(exported[0], store, out=tmp_path / "ours.csv")
    theirs = table_of(exported[0], other, out=tmp_path / "theirs.csv")
    assert list(theirs)[2:4] == [f"prob_{name}" for name in reversed(classes)]
    pd.testing.assert_frame_equal(theirs[list(ours)], ours)


def test_a_folder_gives_ids_and_probabilities_of_what_can_be_decoded(exported, classes, run, store, images, tmp_path):
    of_store = table_of(exported[0], store, out=tmp_path / "store.csv").set_index("id")
    for model in (run, exported[0]):
        out = tmp_path / f"{model.name}.csv"
        record = predict(model, images, out=out, precision="fp32")
        table = pd.read_csv(out, dtype={"id": str})
        assert list(table) == ["id", *(f"prob_{name}" for name in classes)]
        assert set(table["id"]) == set(of_store.index)
        np.testing.assert_allclose(chances_of(table), chances_of(of_store.loc[table["id"]]), atol=1e-4)
        assert record["skipped"] == {"broken.jpg": "unreadable", "truncated.png": "unreadable"}
        assert (record["source"], record["split"], record["n"]) == ("folder", None, len(of_store))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["float.onnx.csv", "run.csv", "store.csv"]


def test_a_stopped_prediction_of_a_folder_goes_on(exported, images, tmp_path, monkeypatch):
    out = tmp_path / "a.csv"
    with monkeypatch.context() as patch:
        patch.setattr("mindgap.workflows.predict.write_unlabelled", interrupt)
        with pytest.raises(KeyboardInterrupt):
            predict(exported[0], images, out=out)
    assert [path.name for path in tmp_path.iterdir()] == [".a.csv.partial"]
    before = (tmp_path / ".a.csv.partial" / "provenance.json").read_text()
    with monkeypatch.context() as patch:
        patch.setattr("mindgap.data.decode_worker.decode_image", decode_none_anew)
        predict(exported[0], images, out=out)
    assert json.loads(before)["started"]
    assert out.exists()
    assert not (tmp_path / ".a.csv.partial").exists()


def interrupt(*_, **__):
    raise KeyboardInterrupt


def decode_none_anew(path, _):
    from mindgap.data.decode import ImageFault

    assert path.endswith(("broken.jpg", "truncated.png")), path
    raise ImageFault("unreadable")


@pytest.mark.slow
def test_the_chosen_network_of_a_search_is_used(store, tmp_path):
    out = tmp_path / "search"
    search(store, config=write_tiny_config(tmp_path, trials=2, epochs=1), out=out)
    table = table_of(out, store, out=tmp_path / "a.csv")
    modes = read_json(out / "provenance.json")["modes"]
    assert len(modes) == len(read_json(out / "architecture.json")["blocks"]) + 2
    kept = read_predictions(out / "predictions.parquet", attributes=["sex"])
    assert table["id"].tolist() == kept.ids.tolist()
    np.testing.assert_allclose(chances_of(table), kept.probabilities, atol=1e-6)


def test_a_file_predicts_without_torch(exported, images, store, tmp_path):
    code = (
        "import sys\nfrom mindgap.api import predict\n"
        f"predict({str(exported[0])!r}, {str(images)!r}, out={str(tmp_path / 'a.csv')!r})\n"
        f"predict({str(exported[0])!r}, {str(store)!r}, out={str(tmp_path / 'b.csv')!r})\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resize": "crop"}, "has images resized by crop, the network is for squash; prepare it with --resize squash"),
        ({"classes": ["<script>alert(1)</script>", "other"]}, "has the class 'other', which the network does not know"),
        ({"classes": ["<script>alert(1)</script>"]}, "lacks the class .* which the network knows"),
        ({"task": "multi-label"}, "has a task that is multi-label, the network is for single-label"),
    ],
)
def test_a_store_of_another_kind_is_refused(exported, store, tmp_path, changes, message):
    other = tmp_path / "store"
    shutil.copytree(store, other)
    write_json(other / "store.json", read_json(store / "store.json") | changes)
    with pytest.raises(DataError, match=message):
        predict(exported[0], other, out=tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()


def test_a_store_of_another_size_is_refused(exported, store, tmp_path):
    other = tmp_path / "store"
    shutil.copytree(store, other)
    info = read_json(store / "store.json")
    write_json(other / "store.json", info | {"size_px": 8})
    (other / "images.bin").write_bytes(bytes(info["n"] * 8 * 8 * 3))
    with pytest.raises(DataError, match="has images of 8 px, the network is for 16 px; prepare it with --size 16"):
        predict(exported[0], other, out=tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": "nowhere"}, DataError, "nowhere: no such run or file; give a run folder or an ONNX file"),
        ({"images": "nowhere"}, DataError, "nowhere: no such folder; check IMAGES"),
        ({"out": "a.txt"}, ConfigError, r"a\.txt: ends in '\.txt'; give a name that ends in \.csv or \.parquet"),
        (
            {"split": "tset"},
            UnknownNameError,
            "no split 'tset'; did you mean 'test'.* known: all, test, train, validation",
        ),
        ({"split": ""}, UnknownNameError, "no split ''; known: all, test, train, validation"),
        ({"split": "tset", "model": "nowhere"}, UnknownNameError, "no split 'tset'"),
        ({"precision": "fp16"}, ConfigError, "predict: precision is 'fp16'"),
        ({"device": "tpu"}, ConfigError, "predict: device is 'tpu'"),
        ({"workers": 0}, ConfigError, "workers=0: need at least 1"),
    ],
)
def test_a_bad_option_is_one_line_and_leaves_nothing(exported, store, tmp_path, options, error, message):
    chosen = {"model": exported[0], "images": store, "out": "a.csv"} | options
    with pytest.raises(error, match=message) as caught:
        predict(chosen.pop("model"), chosen.pop("images"), out=tmp_path / "new" / chosen.pop("out"), **chosen)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_split_of_a_folder_and_a_folder_without_images_are_refused(exported, images, tmp_path):
    with pytest.raises(ConfigError, match=r"--split test: .*images has no splits"):
        predict(exported[0], images, out=tmp_path / "a.csv", split="test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no image file"):
        predict(exported[0], tmp_path / "empty", out=tmp_path / "a.csv")
    (tmp_path / "empty" / "a.jpg").touch()
    with pytest.raises(DataError, match="none of 1 files can be decoded"):
        predict(exported[0], tmp_path / "empty", out=tmp_path / "a.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_what_is_read_is_never_replaced(run, store, exported):
    before = (run / "predictions.parquet").read_bytes()
    for folder, name in ((run, "predictions.parquet"), (store, "table.parquet")):
        for force in (False, True):
            with pytest.raises(ConfigError, match=f"{name}: that file is an input and would be lost"):
                predict(run, store, out=folder / name, force=force)
    assert (run / "predictions.parquet").read_bytes() == before


def test_a_table_in_the_run_it_was_made_by_is_replaced(run, store, copy_of):
    copied = copy_of(run)
    for force in (False, True):
        predict(copied, store, out=copied / "mine.csv", force=force)
    assert (copied / "mine.csv").is_file()


def test_another_process_at_the_same_table_is_refused(exported, images, tmp_path):
    (tmp_path / ".a.csv.partial").mkdir()
    with folder_lock(tmp_path / ".a.csv.partial"), pytest.raises(RunError, match="another mindgap process"):
        predict(exported[0], images, out=tmp_path / "a.csv")


def foreign(path, exported, **changes):
    """The exported file with other metadata; None takes an entry out."""
    import onnx

    model = onnx.load(str(exported))
    entries = {entry.key: entry.value for entry in model.metadata_props} | changes
    onnx.helper.set_model_props(model, {key: text for key, text in entries.items() if text is not None})
    onnx.save(model, str(path))
    return path


def test_files_that_are_none_of_ours_are_refused_in_one_line(exported, store, tmp_path):
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(bytes(range(256)) * 40)
    lacking = foreign(tmp_path / "lacking.onnx", exported[0], **{"mindgap.classes": None, "mindgap.resize": None})
    changed = foreign(tmp_path / "changed.onnx", exported[0], **{"mindgap.input_px": "32"})
    for file, message in (
        (garbage, r"garbage\.onnx: cannot be run \(.*\); give an ONNX file that mindgap export wrote"),
        (lacking, r"lacking\.onnx: its metadata lack mindgap\.classes, mindgap\.resize"),
        (changed, r"changed\.onnx: takes .* its metadata say 32 px and 2 classes"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            predict(file, store, out=tmp_path / "a.csv")
        assert "\n" not in str(caught.value)
