"""What of an export is kept: its record as a file, and in the exported file where that is from."""

from __future__ import annotations

import hashlib
import json

import pytest

from mindgap.cli.main import run as mindgap
from mindgap.core.errors import CapacityError, ConfigError
from mindgap.data.image_store import Store
from mindgap.export.onnx_model import OnnxModel
from mindgap.workflows.export import export
from mindgap.workflows.predict import predict

ORIGIN = ("mindgap.store_fingerprint", "mindgap.weights_sha256")
FEW = {"bootstrap": 20, "permutations": 10}


def metadata_of(path):
    import onnx

    return {entry.key: json.loads(entry.value) for entry in onnx.load(str(path)).metadata_props}


@pytest.mark.parametrize("int8", [False, True])
def test_a_file_names_the_data_and_the_weights_that_it_is_from(run, store, tmp_path, int8):
    record = export(run, out=tmp_path / "a.onnx", int8=int8, **FEW)
    digest = hashlib.sha256((run / "weights.safetensors").read_bytes()).hexdigest()
    found = metadata_of(tmp_path / "a.onnx")
    assert [found[key] for key in ORIGIN] == [Store.open(store).fingerprint, digest]
    facts = OnnxModel(tmp_path / "a.onnx").facts
    assert facts.model_dump(mode="json") == record["facts"]
    assert facts.weights_sha256 == digest


def test_an_earlier_versions_file_without_its_origin_predicts_as_before(exported, store, tmp_path):
    import onnx

    model = onnx.load(str(exported[0]))
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key not in ORIGIN}
    assert len(kept) == len(model.metadata_props) - 2
    onnx.helper.set_model_props(model, kept)
    onnx.save(model, str(tmp_path / "old.onnx"))
    facts = OnnxModel(tmp_path / "old.onnx").facts
    assert facts.store_fingerprint is facts.weights_sha256 is None
    for file in (tmp_path / "old.onnx", exported[0]):
        predict(file, store, out=tmp_path / f"{file.stem}.csv")
    assert (tmp_path / "old.csv").read_bytes() == (tmp_path / f"{exported[0].stem}.csv").read_bytes()


def test_the_record_is_written_and_named(run, tmp_path, capsys):
    file = tmp_path / "deep" / "a.json"
    words = ["export", str(run), "--out", str(tmp_path / "a.onnx"), "--int8", "--json", str(file)]
    assert mindgap([*words, "--bootstrap", "20", "--permutations", "10"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"record: {file}"
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept == export(run, out=tmp_path / "a.onnx", int8=True, json=file, force=True, **FEW)
    assert json.loads(file.read_text(encoding="utf-8")) == kept
    assert {"agreement", "recorded", "int8", "facts"} <= set(kept)


def test_a_place_for_the_record_that_will_not_do_is_refused_before_the_work(run, store, copy_of, tmp_path):
    copied = copy_of(run)
    (tmp_path / "file").touch()
    (tmp_path / "link.json").symlink_to(store / "store.json")
    for place, kind, message in (
        (tmp_path / "a.onnx", ConfigError, "--out and --json are both .*a.onnx; give two names"),
        (tmp_path, ConfigError, "is a folder; give the name of a file"),
        (tmp_path / "file" / "a.json", CapacityError, "choose another place for --json"),
        (copied / "metrics.json", ConfigError, "that file is an input and would be lost"),
        (copied / "mitigation.json", ConfigError, "that file is an input and would be lost"),
        (store / "store.json", ConfigError, "that file is an input and would be lost"),
        (tmp_path / "link.json", ConfigError, "that file is an input and would be lost"),
    ):
        with pytest.raises(kind, match=message):
            export(copied, out=tmp_path / "a.onnx", json=place)
        assert not (tmp_path / "a.onnx").exists()


def test_resamples_that_cannot_be_are_refused_before_there_is_a_file(run, tmp_path):
    with pytest.raises(ConfigError, match="bootstrap=-5: give 0 or more"):
        export(run, out=tmp_path / "a.onnx", bootstrap=-5)
    assert not list(tmp_path.iterdir())
