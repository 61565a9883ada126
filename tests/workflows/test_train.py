"""The verb ``train`` from end to end on a tiny store."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from mindgap.core.errors import CapacityError, ConfigError, DataError, RunError, TrainingFailure, UnknownNameError
from mindgap.core.folder_lock import folder_lock
from mindgap.data.image_store import Store
from mindgap.metrics.predictions import read_predictions
from mindgap.space.architecture import load_network
from mindgap.testing.tiny_store import SIZE_PX, write_tiny_store
from mindgap.train.evaluate import predict_probabilities
from mindgap.workflows.train import train

N = 120
FILES = {
    "architecture.json",
    "config.toml",
    "log.jsonl",
    "metrics.json",
    "predictions.parquet",
    "provenance.json",
    "report.html",
    "model_card.md",
    "weights.safetensors",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store.open(write_tiny_store(tmp_path_factory.mktemp("single") / "store", n=N))


@pytest.fixture(scope="module")
def multi_store(tmp_path_factory) -> Store:
    return Store.open(write_tiny_store(tmp_path_factory.mktemp("multi") / "store", n=N, multi_label=True))


@pytest.fixture(scope="module")
def network(tmp_path_factory, store):
    """A file with a small network."""
    from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem

    block = BlockSpec(type="cb", out_channels=8, choices={"kernel": 3, "hidden_channels": 8})
    architecture = Architecture(
        name="tiny", input_px=SIZE_PX, num_classes=2, stem=Stem(channels=8), blocks=(block,), head=Head(width=16)
    )
    path = tmp_path_factory.mktemp("network") / "tiny.json"
    path.write_text(architecture.to_json())
    return path


def run(store, network, out, **options):
    defaults = {"epochs": 3, "batch_size": 16, "bootstrap": 20, "permutations": 20, "precision": "fp32"}
    return train(store, network=network, out=out, **defaults | options)


@pytest.fixture(scope="module")
def trained(store, network, tmp_path_factory):
    """A finished run: its folder and its record."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, run(store, network, folder, epochs=5, mitigation="biasless")


@pytest.mark.parametrize("folds", [None, 2])
def test_after_a_learning_rate_that_was_too_high_the_next_one_may_have_its_folder(store, network, tmp_path, folds):
    out = tmp_path / "runs" / "one"
    with pytest.raises(TrainingFailure, match="lower the learning rate"):
        run(store, network, out, lr=1e30, folds=folds)
    assert list(tmp_path.iterdir()) == []
    run(store, network, out, lr=1e-3, epochs=1, folds=folds)
    assert FILES - {"weights.safetensors"} <= {path.name for path in out.iterdir()}


def test_a_run_leaves_its_files_and_nothing_else(trained):
    folder, record = trained
    assert {path.name for path in folder.iterdir()} == FILES
    assert set(record) == {"validation", "test", "cost", "training"}
    assert record == json.loads((folder / "metrics.json").read_text())
    assert record["training"]["image_passes"] == 5 * 5 * 16
    assert record["cost"]["params"] > 0
    assert json.loads((folder / "provenance.json").read_text())["finished"]


def test_the_log_has_a_line_per_epoch(trained):
    lines = [json.loads(line) for line in (trained[0] / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5]
    assert all(0 <= line["validation_accuracy"] <= 1 and line["loss"] > 0 for line in lines)


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_the_last_epochs_logged_figures_are_the_audits(store, network, tmp_path, monkeypatch, precision):
    """Validation is computed after every epoch as it is in the end, not in the type that predicts the fastest."""
    seen = []

    def seen_modes(*arguments, **options):
        seen.append(options["modes"])
        return predict_probabilities(*arguments, **options)

    monkeypatch.setattr("mindgap.workflows.train_job.predict_probabilities", seen_modes)
    record = run(store, network, tmp_path / "run", epochs=2, precision=precision, batch_size=18)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    audit = record["validation"]
    assert lines[-1]["validation_accuracy"] == audit["overall"]["accuracy"]["value"]
    assert lines[-1]["validation_unfairness"] == audit["attributes"]["sex"]["gaps"]["unfairness"]["value"]
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert list(seen[0]) == json.loads((tmp_path / "run" / "provenance.json").read_text())["modes"]


def test_predictions_are_those_of_the_saved_weights(trained, store):
    folder, record = trained
    architecture, network = load_network(folder)
    rows = store.rows("test")
    predictions = read_predictions(folder / "predictions.parquet", attributes=["sex"])
    again = predict_probabilities(network, store.image_tensor(), rows, architecture=architecture)
    assert predictions.ids.tolist() == store.ids[rows].tolist()
    np.testing.assert_allclose(predictions.probabilities, again, atol=1e-5)
    right = float((again.argmax(axis=1) == store.labels[rows]).mean())
    assert record["test"]["overall"]["accuracy"]["value"] == pytest.approx(right)
    assert record["test"]["n"] == len(rows)
    assert read_predictions(folder / "predictions.parquet", attributes=[], split="validation").n == 24


def test_a_finished_run_is_not_trained_again_and_other_options_are_refused(trained, store, network):
    folder, record = trained
    before = (folder / "weights.safetensors").stat().st_mtime_ns
    assert run(store, network, folder, epochs=5, mitigation="biasless") == record
    assert (folder / "weights.safetensors").stat().st_mtime_ns == before
    with pytest.raises(RunError, match=r"was run with epochs=5, now 4"):
        run(store, network, folder, epochs=4, mitigation="biasless")


def test_a_stopped_run_ends_as_one_that_was_not(store, network, tmp_path, monkeypatch):
    run(store, network, tmp_path / "straight")
    with monkeypatch.context() as patch:
        patch.setattr("mindgap.train.epoch_log.EpochLog.add", stop_at_epoch(3))
        with pytest.raises(KeyboardInterrupt):
            run(store, network, tmp_path / "stopped")
    run(store, network, tmp_path / "stopped")
    straight, stopped = (load_network(tmp_path / name)[1].state_dict() for name in ("straight", "stopped"))
    assert all(torch.equal(straight[name], stopped[name]) for name in straight)


def test_two_runs_with_the_same_options_are_the_same_run(store, network, tmp_path, monkeypatch):
    """The precision of every part is timed once on a machine, so load decides no result."""

    def measure_again(*_, **__):
        raise AssertionError("timed a second time")

    run(store, network, tmp_path / "first", epochs=2, precision="auto", batch_size=18)
    monkeypatch.setattr("mindgap.train.precision.measure_plan", measure_again)
    run(store, network, tmp_path / "second", epochs=2, precision="auto", batch_size=18)
    first, second = (load_network(tmp_path / name)[1].state_dict() for name in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    modes = [json.loads((tmp_path / name / "provenance.json").read_text())["modes"] for name in ("first", "second")]
    assert modes[0] == modes[1]


def folder_lock_of(folder):
    folder.mkdir()
    return folder_lock(folder)


def stop_at_epoch(last):
    from mindgap.train.epoch_log import EpochLog

    original = EpochLog.add

    def add(self, record, *, fold=None):
        if record.epoch == last:
            raise KeyboardInterrupt
        original(self, record, fold=fold)

    return add


def test_folds_predict_every_row_by_a_network_that_did_not_see_its_cluster(store, network, tmp_path):
    record = run(store, network, tmp_path / "run", folds=3, epochs=2)
    table = pd.read_parquet(tmp_path / "run" / "predictions.parquet")
    assert sorted(table["id"]) == sorted(store.ids)
    assert record["validation"] is None
    assert record["test"]["n"] == N
    folds = [pd.read_parquet(tmp_path / "run" / "folds" / str(k) / "predictions.parquet") for k in range(3)]
    assert sum(len(fold) for fold in folds) == N
    clusters = [set(fold["cluster"]) for fold in folds]
    assert len(set.union(*clusters)) == sum(len(names) for names in clusters)
    values = [audit["overall"]["accuracy"]["value"] for audit in record["folds"]["audits"]]
    summary = record["folds"]["summary"]["accuracy"]
    assert summary == pytest.approx({"mean": np.mean(values), "sd": np.std(values, ddof=1), "folds": 3})
    sizes = [len(fold) for fold in folds]
    assert record["test"]["overall"]["accuracy"]["value"] == pytest.approx(np.average(values, weights=sizes))
    assert "unfairness" in record["folds"]["summary"]["attributes"]["sex"]


def test_folds_that_are_finished_are_kept(store, network, tmp_path, monkeypatch):
    from mindgap.workflows import train_once

    original, done = train_once._fold, []

    def fold(*arguments, **options):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(options["fold"])
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(train_once, "_fold", fold)
        with pytest.raises(KeyboardInterrupt):
            run(store, network, tmp_path / "run", folds=3, epochs=1)
    first = (tmp_path / "run" / "folds" / "0" / "weights.safetensors").stat().st_mtime_ns
    record = run(store, network, tmp_path / "run", folds=3, epochs=1)
    assert (tmp_path / "run" / "folds" / "0" / "weights.safetensors").stat().st_mtime_ns == first
    straight = run(store, network, tmp_path / "straight", folds=3, epochs=1)
    assert record["test"] == straight["test"]


def test_multi_label_data_is_trained_and_audited_per_label(multi_store, network, tmp_path):
    record = run(multi_store, network, tmp_path / "run")
    assert record["test"]["task"] == "multi-label"
    assert set(record["test"]["labels"]) == {"red", "even"}
    record = run(multi_store, network, tmp_path / "folds", folds=2, epochs=1)
    assert set(record["folds"]["summary"]["labels"]) == {"red", "even"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"network": "resnet81"}, UnknownNameError, r"did you mean 'resnet18'"),
        ({"network": "nowhere.json"}, DataError, r"nowhere\.json: cannot read"),
        ({"loss": "cee"}, UnknownNameError, r"losses: no 'cee'; did you mean 'ce'"),
        ({"loss": "bce"}, ConfigError, r"loss 'bce' is for multi-label data"),
        ({"mitigation": "biasles"}, UnknownNameError, r"did you mean 'biasless'"),
        ({"attribute": "sx"}, UnknownNameError, r"no attribute 'sx'; did you mean 'sex'"),
        ({"ratios": "a=.6,b=.6"}, ConfigError, r"sum to 1\.2"),
        ({"schedule": "cosine"}, ConfigError, r"train: schedule is 'cosine'"),
        ({"epochs": 0}, ConfigError, r"train: epochs is 0"),
        ({"folds": 1}, ConfigError, r"folds=1: cross-validation needs 2 folds or more"),
        ({"folds": 1000}, ConfigError, r"folds=1000: need .* at most one per cluster"),
    ],
)
def test_a_bad_option_is_one_line_and_leaves_no_folder(store, network, tmp_path, options, error, message):
    with pytest.raises(error, match=message) as caught:
        run(store, options.pop("network", network), tmp_path / "run", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_device_that_is_not_there_leaves_no_folder(store, network, tmp_path):
    with pytest.raises(CapacityError, match="no GPU here"):
        run(store, network, tmp_path / "run", device="cuda")
    assert not (tmp_path / "run").exists()


def test_a_share_for_a_group_that_a_fold_does_not_have_leaves_no_folder(network, tmp_path):
    """All images of one group are one cluster, so one fold trains without it."""
    write_tiny_store(tmp_path / "store", n=N)
    table = pd.read_parquet(tmp_path / "store" / "table.parquet")
    table.loc[table["sex"] == "b", "cluster"] = "all"
    table.to_parquet(tmp_path / "store" / "table.parquet")
    with pytest.raises(ConfigError, match="no training image"):
        run(Store.open(tmp_path / "store"), network, tmp_path / "run", folds=2, ratios="a=.5,b=.5")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("force", [False, True])
def test_the_store_is_never_the_run(network, tmp_path, force):
    store = Store.open(write_tiny_store(tmp_path / "store", n=N))
    (tmp_path / "store" / "config.toml").write_text('verb = "prepare"\noptions = {}\n')
    (tmp_path / "store" / "provenance.json").write_text("{}")
    before = sorted(path.name for path in (tmp_path / "store").rglob("*"))
    for out in (tmp_path / "store", tmp_path / "store" / "run", tmp_path):
        with pytest.raises(RunError, match="choose an --out apart from it"):
            run(store, network, out, force=force)
    assert sorted(path.name for path in (tmp_path / "store").rglob("*")) == before


def test_a_batch_that_holds_the_training_images_over_and_over_is_warned_of(store, network, tmp_path):
    n = len(store.rows("train"))
    said = run(store, network, tmp_path / "run", epochs=1, batch_size=2 * n + 2)["training"]["warnings"]
    assert said == [f"an epoch is one batch of {2 * n + 2}, which holds the {n} training images more than once"]


def test_ratios_that_favour_a_smaller_group_are_warned_of_before_training(trained, store, network, tmp_path, caplog):
    assert trained[1]["training"]["warnings"] == []
    groups = store.groups("sex").take(store.rows("train"))
    small, large = (groups.names[number] for number in groups.counts().argsort())
    assert groups.counts().min() < groups.counts().max()
    options = {"epochs": 1, "ratios": f"{small}=.8,{large}=.2"}
    with folder_lock_of(tmp_path / "busy"), pytest.raises(RunError, match="another mindgap process"):
        run(store, network, tmp_path / "busy", **options)
    warning = caplog.messages[0]
    record = run(store, network, tmp_path / "run", **options)
    assert record["training"]["warnings"] == [warning]
    assert f"smaller group '{small}' a share of 0.8" in warning
