"""The verb ``train`` from weights of a file."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec

import pytest
import torch

from mindgap.core.errors import CapacityError, ConfigError, DataError, RunError
from mindgap.core.notes import NOTE
from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem, load_network
from mindgap.testing.tiny_store import SIZE_PX, write_tiny_store
from mindgap.workflows.predict import predict
from mindgap.workflows.train import train

N = 120


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store.open(write_tiny_store(tmp_path_factory.mktemp("start") / "store", n=N))


@pytest.fixture(scope="module")
def architecture() -> Architecture:
    blocks = (
        BlockSpec(type="cb", out_channels=8, choices={"kernel": 3, "hidden_channels": 8}),
        BlockSpec(type="rb", out_channels=8, choices={"kernel": 3, "hidden_channels": 8}),
    )
    return Architecture(
        name="tiny", input_px=SIZE_PX, num_classes=2, stem=Stem(channels=8), blocks=blocks, head=Head(width=16)
    )


@pytest.fixture(scope="module")
def network(tmp_path_factory, architecture):
    path = tmp_path_factory.mktemp("network") / "tiny.json"
    path.write_text(architecture.to_json())
    return path


def run(store, network, out, **options):
    defaults = {"epochs": 2, "batch_size": 16, "bootstrap": 20, "permutations": 20, "precision": "fp32"}
    return train(store, network=network, out=out, **defaults | options)


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def taught(store, network, tmp_path_factory):
    """The weights of a finished run, and the loss of its first epoch."""
    folder = tmp_path_factory.mktemp("taught") / "run"
    run(store, network, folder, epochs=8, lr=0.01)
    return folder / "weights.safetensors", losses(folder)[0]


def test_a_run_from_trained_weights_begins_where_they_were(store, network, taught, tmp_path):
    weights, from_scratch = taught
    run(store, network, tmp_path / "run", weights=weights, lr=1e-4)
    assert losses(tmp_path / "run")[0] < 0.7 * from_scratch
    record = json.loads((tmp_path / "run" / "provenance.json").read_text())["weights"]
    assert record["path"] == str(weights)
    assert len(record["digest"]) == 32
    assert record["drawn"] == []


def test_every_fold_starts_from_the_weights(store, network, taught, tmp_path):
    weights, from_scratch = taught
    run(store, network, tmp_path / "run", weights=weights, lr=1e-4, epochs=1, folds=2)
    assert max(losses(tmp_path / "run")) < 0.7 * from_scratch


def test_a_classifier_of_other_classes_is_drawn_with_a_note(store, network, architecture, tmp_path, caplog):
    other = architecture.for_task(num_classes=5, input_px=32).build(seed=9)
    torch.save(other.state_dict(), tmp_path / "other.pt")
    with caplog.at_level(NOTE):
        run(store, network, tmp_path / "run", weights=tmp_path / "other.pt", epochs=1, lr=1e-12)
    said = [record for record in caplog.records if "other.pt" in record.message]
    assert [record.levelno for record in said] == [NOTE]
    assert "classifier.weight (2, 16), classifier.bias (2,)" in said[0].message
    assert "\n" not in said[0].message
    record = json.loads((tmp_path / "run" / "provenance.json").read_text())["weights"]
    assert record["drawn"] == ["classifier.weight", "classifier.bias"]
    trained = load_network(tmp_path / "run")[1]
    torch.testing.assert_close(trained.stem.conv.weight, other.stem.conv.weight)


def test_another_file_under_the_same_name_does_not_resume_the_run(store, network, architecture, tmp_path):
    file = tmp_path / "start.pt"
    torch.save(architecture.build(seed=1).state_dict(), file)
    record = run(store, network, tmp_path / "run", weights=file, epochs=1)
    assert run(store, network, tmp_path / "run", weights=file, epochs=1) == record
    torch.save(architecture.build(seed=2).state_dict(), file)
    with pytest.raises(RunError, match="weights_digest"):
        run(store, network, tmp_path / "run", weights=file, epochs=1)
    with pytest.raises(RunError, match="was run with weights="):
        run(store, network, tmp_path / "run", epochs=1)


def test_weights_of_another_network_leave_no_folder(store, network, tmp_path):
    other = Architecture(
        name="o", input_px=SIZE_PX, num_classes=2, stem=Stem(channels=8), blocks=(), head=Head(width=16)
    )
    torch.save(other.build().state_dict(), tmp_path / "other.pt")
    for weights, message in [("other.pt", r"lacks blocks\.0.*and \d more"), ("nowhere.pt", "cannot read the weights")]:
        with pytest.raises(DataError, match=message) as refused:
            run(store, network, tmp_path / "run", weights=tmp_path / weights)
        assert "\n" not in str(refused.value)
        assert not (tmp_path / "run").exists()


def test_a_network_pretrained_on_imagenet_starts_a_run(store, shared_data, tmp_path):
    weights = shared_data.parent / "weights" / "mobilenet_v2_imagenet.pt"
    if not weights.is_file():
        pytest.skip("the pretrained weights are not here: no ../shared/weights beside the repository")
    run(store, "mobilenet_v2", tmp_path / "run", weights=weights, epochs=1, lr=1e-12)
    theirs = torch.load(weights, weights_only=True)["features.0.0.weight"]
    torch.testing.assert_close(load_network(tmp_path / "run")[1].stem.conv.weight.detach(), theirs.float())


def test_the_front_of_a_pretrained_network_stays_as_it_was(store, network, taught, tmp_path, caplog):
    with caplog.at_level(NOTE):
        run(store, network, tmp_path / "run", weights=taught[0], freeze=2, lr=0.01)
    assert not [record for record in caplog.records if "freeze=" in record.message]
    before, after = (load_network(folder)[1].state_dict() for folder in (taught[0].parent, tmp_path / "run"))
    kept = {name.split(".")[0] + name.split(".")[1] for name in before if torch.equal(before[name], after[name])}
    assert kept == {"stemconv", "stemnorm", "blocks0"}
    with pytest.raises(RunError, match="was run with freeze=2, now None"):
        run(store, network, tmp_path / "run", weights=taught[0], lr=0.01)


def test_freezing_what_is_drawn_is_noted_and_more_than_there_is_refused(store, network, tmp_path, caplog):
    with caplog.at_level(NOTE):
        run(store, network, tmp_path / "run", freeze=1, epochs=1)
    said = [record.message for record in caplog.records if "freeze=" in record.message]
    assert said == ["freeze=1: these parts stay as they are drawn; --weights starts them from a file"]
    with pytest.raises(ConfigError, match="freeze is 9: tiny has 3 parts") as refused:
        run(store, network, tmp_path / "more", freeze=9)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "more").exists()


def test_a_network_of_another_package_is_trained_audited_and_used(store, fake_timm, tmp_path):
    theirs = fake_timm.create_model("mini", pretrained=False, num_classes=10)
    torch.save(theirs.state_dict(), tmp_path / "mini.pt")
    options = {"weights": tmp_path / "mini.pt", "freeze": 1, "precision": "auto"}
    record = run(store, "timm:mini", tmp_path / "run", **options)
    architecture, trained = load_network(tmp_path / "run")
    assert architecture.name == "timm:mini"
    after = trained.state_dict()
    body = {name: tensor for name, tensor in theirs.state_dict().items() if not name.startswith("fc.")}
    assert all(torch.equal(tensor, after[f"stem.{name}"]) for name, tensor in body.items())
    assert record["cost"]["params"] == sum(parameter.numel() for parameter in trained.parameters())
    assert "timm: mini" in (tmp_path / "run" / "report.html").read_text()
    predict(tmp_path / "run", store.path, out=tmp_path / "table.csv", split="test")
    assert (tmp_path / "table.csv").exists()


@pytest.mark.skipif(find_spec("timm") is not None, reason="timm is here")
def test_without_its_package_such_a_network_leaves_no_folder(store, tmp_path):
    with pytest.raises(CapacityError, match=r"pip install 'mindgap\[backbones\]'"):
        run(store, "timm:resnet18", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_run_whose_weights_are_read_is_not_replaced(store, network, taught, tmp_path):
    earlier = tmp_path / "earlier"
    shutil.copytree(taught[0].parent, earlier)
    before = sorted(earlier.iterdir())
    with pytest.raises(RunError, match="choose an --out apart from it"):
        run(store, network, earlier, weights=earlier / "weights.safetensors", force=True)
    assert sorted(earlier.iterdir()) == before
