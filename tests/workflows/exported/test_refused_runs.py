"""Runs that neither verb can use."""

from __future__ import annotations

import sys

import pytest

from mindgap.core.errors import CapacityError, DataError, RunError
from mindgap.core.files import write_json
from mindgap.testing.tiny_store import SIZE_PX
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation
from mindgap.workflows.export import export
from mindgap.workflows.predict import predict


class ByGroup(AbstractMitigation):
    """Predicts by the group."""

    def predict(self, network, images, groups):
        return network(images) + groups[:, None]


def test_a_mitigation_that_needs_groups_is_refused(run, store, copy_of, tmp_path, monkeypatch):
    monkeypatch.setitem(MITIGATIONS._entries, "by_group", ByGroup)
    copied = copy_of(run, mitigation="by_group")
    message = "mitigation 'by_group' predicts by more than the network"
    with pytest.raises(RunError, match=message):
        export(copied, out=tmp_path / "a.onnx")
    with pytest.raises(RunError, match=message):
        predict(copied, store, out=tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("mend", "message"),
    [
        (lambda run: (run / "config.toml").unlink(), r"holds no mindgap run \(no config\.toml\)"),
        (lambda run: write_json(run / "provenance.json", {"finished": None}), "is not finished; run the same command"),
        (
            lambda run: write_json(run / "provenance.json", {"finished": "now"}),
            "does not say which classes its store had",
        ),
        (lambda run: (run / "weights.safetensors").unlink(), r"has no weights\.safetensors; name a run of train or"),
        (lambda run: [(run / "weights.safetensors").unlink(), (run / "folds").mkdir()], "has a network per fold"),
        (
            lambda run: [
                (run / "weights.safetensors").unlink(),
                write_json(run / "search.json", {"presets": {"fair": 1, "acc": 2}}),
            ],
            r"holds a run per preset \(fair, acc\); name one of its folders",
        ),
        (
            lambda run: (run / "architecture.json").write_text(
                (run / "architecture.json").read_text().replace(f'"input_px": {SIZE_PX}', '"input_px": 32')
            ),
            "the network has 2 classes and 32 px, the store 2 and 16",
        ),
    ],
)
def test_a_folder_without_a_usable_network_is_refused_in_one_line(run, copy_of, tmp_path, mend, message):
    copied = copy_of(run)
    mend(copied)
    with pytest.raises((RunError, DataError), match=message) as caught:
        export(copied, out=tmp_path / "a.onnx")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["copied"]


@pytest.mark.parametrize("name", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_package_is_one_line(exported, run, store, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    message = rf"needs {name}, not installed here; pip install 'mindgap\[export\]'"
    with pytest.raises(CapacityError, match=message):
        export(run, out=tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
    if name != "onnxruntime":
        predict(exported[0], store, out=tmp_path / "a.csv")
        return
    with pytest.raises(CapacityError, match=message):
        predict(exported[0], store, out=tmp_path / "a.csv")
