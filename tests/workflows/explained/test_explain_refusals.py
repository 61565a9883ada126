"""What cannot be explained is refused in one line, and nothing is left behind."""

from __future__ import annotations

import shutil
import sys

import pandas as pd
import pytest

from mindgap.core.errors import CapacityError, ConfigError, DataError, RunError, UnknownNameError
from mindgap.core.files import read_json, write_json
from mindgap.explain.explainer import EXPLAINERS, AbstractExplainer
from mindgap.testing.made_timm import MadeTimm
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.workflows.explain import explain
from mindgap.workflows.train import train

FEW = {"bootstrap": 20, "permutations": 20}


def refused(run, out, kind, **options) -> str:
    """The one line, after a look that the folder is not there."""
    with pytest.raises(kind) as caught:
        explain(run, out=out, **FEW | options)
    assert not out.exists()
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"method": "grad-camm"}, UnknownNameError, "explainers: no 'grad-camm'; did you mean 'grad-cam'?"),
        ({"layer": "blocks.0.bod"}, ConfigError, "the network has no layer 'blocks.0.bod'; did you mean"),
        ({"layer": "classifier"}, ConfigError, "layer 'classifier' gives (1, 2) and no maps"),
        ({"method": "cam", "layer": "blocks.0"}, ConfigError, "blocks.0"),
        ({"split": "tset"}, UnknownNameError, "no split 'tset'; did you mean 'test'?"),
        ({"target": "rad"}, UnknownNameError, "--target 'rad': did you mean 'red'?"),
        ({"attributes": "sx"}, UnknownNameError, "no attribute 'sx'; did you mean 'sex'?"),
        ({"examples": 201}, ConfigError, "explain: examples"),
        ({"examples": 2, "channels": 65}, ConfigError, "explain: channels"),
        ({"channels": 2}, ConfigError, "--channels 2: channels are drawn over examples; add --examples N"),
        ({"batch_size": 0}, ConfigError, "explain: batch_size"),
        ({"device": "tpu"}, ConfigError, "explain: device"),
        ({"bootstrap": -1}, ConfigError, "explain: bootstrap"),
        ({"min_group": 0}, ConfigError, "explain: min_group"),
    ],
)
def test_options_that_do_not_fit(run, tmp_path, options, kind, says):
    assert says in refused(run, tmp_path / "out", kind, **options)


def test_an_exported_file_has_no_gradients(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    assert "an exported network gives no gradients" in refused(tmp_path / "model.onnx", tmp_path / "out", ConfigError)


def test_what_is_no_finished_run(run, tmp_path):
    assert "no such run" in refused(tmp_path / "none", tmp_path / "out", RunError)
    (tmp_path / "empty").mkdir()
    assert "holds no mindgap run" in refused(tmp_path / "empty", tmp_path / "out", RunError)
    copied = shutil.copytree(run, tmp_path / "unfinished")
    write_json(copied / "provenance.json", read_json(copied / "provenance.json") | {"finished": None})
    assert "is not finished" in refused(copied, tmp_path / "out", RunError)


def test_a_store_that_moved_or_is_another(make_run, tmp_path):
    store = write_tiny_store(tmp_path / "store", n=60)
    run = make_run(store, tmp_path / "run", epochs=1)
    store.rename(tmp_path / "moved")
    assert f"its store {store} is not there any more" in refused(run, tmp_path / "out", DataError)
    record = explain(run, out=tmp_path / "found", store=tmp_path / "moved", **FEW)
    assert record["n"] == 12
    other = write_tiny_store(tmp_path / "labels", n=60, multi_label=True)
    assert "has a task that is multi-label" in refused(run, tmp_path / "out", DataError, store=other)


def test_a_split_without_an_image(run, tmp_path):
    store = write_tiny_store(tmp_path / "store", n=60)
    table = pd.read_parquet(store / "table.parquet")
    table.assign(split="train").to_parquet(store / "table.parquet")
    assert "has no image in the split 'test'" in refused(run, tmp_path / "out", DataError, store=store)


def test_words_that_mean_nothing_of_several_labels(make_run, tmp_path):
    store = write_tiny_store(tmp_path / "store", n=60, multi_label=True)
    run = make_run(store, tmp_path / "run", epochs=1)
    assert "each is explained by itself" in refused(run, tmp_path / "out", ConfigError, target="predicted")
    says = refused(run, tmp_path / "out", UnknownNameError, target="red,evn")
    assert "--target 'evn': did you mean 'even'?" in says


def test_a_folder_that_is_read_is_not_written_into(run):
    with pytest.raises(RunError, match="which is read"):
        explain(run, out=run / "explained", **FEW)
    assert not (run / "explained").exists()


def test_memory_that_runs_out_is_said_in_one_line(run, tmp_path, monkeypatch):
    class Hungry(AbstractExplainer):
        """Takes all memory for more than one image."""

        def maps(self, network, images, targets):
            if len(images) > 1:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
            return images[:, 0]

    EXPLAINERS.discover()
    monkeypatch.setitem(EXPLAINERS._entries, "hungry", Hungry)
    with pytest.raises(CapacityError, match=r"memory ran out on batches of 64 images; try --batch-size 16"):
        explain(run, out=tmp_path / "out", method="hungry", **FEW)
    assert explain(run, out=tmp_path / "out", method="hungry", batch_size=1, **FEW)["n"] > 0, "the call goes on"


def test_a_network_of_timm_is_explained(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", MadeTimm())
    train(store, network="timm:mini", out=tmp_path / "run", epochs=1, bootstrap=0, permutations=0, precision="fp32")
    for method in ("cam", "grad-cam"):
        record = explain(tmp_path / "run", out=tmp_path / method, method=method, **FEW)
        assert record["map_px"] == [4, 4]
        assert record["n"] > 0


def test_of_a_search_with_several_presets_one_is_to_be_named(run, tmp_path):
    copied = shutil.copytree(run, tmp_path / "search")
    (copied / "weights.safetensors").unlink()
    write_json(copied / "search.json", {"presets": ["fair", "acc"]})
    assert "holds a run per preset (fair, acc); name one" in refused(copied, tmp_path / "out", RunError)
