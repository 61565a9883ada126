"""Features are computed once, are those that the network's classifier reads, and are never half-written."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest
import torch

from mindgap.core.errors import CapacityError, RunError, TrainingFailure
from mindgap.data.image_store import Store
from mindgap.space.architecture import save_network
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.testing.tiny_training import SMALL
from mindgap.train.evaluate import predict_probabilities
from mindgap.train.trained_model import TrainedModel
from mindgap.tune import features as module
from mindgap.tune.features import cached_features, feature_tensor


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store.open(write_tiny_store(tmp_path_factory.mktemp("features") / "store", n=60))


def run_of(folder, store, *, seed=1):
    network = SMALL.build(seed=seed)
    folder.mkdir(exist_ok=True)
    save_network(folder, SMALL, network)
    return TrainedModel(folder, SMALL, network.eval(), store.info, {}, None)


@pytest.fixture
def model(tmp_path, store):
    return run_of(tmp_path / "run", store)


def kept_in(folder):
    return sorted(path.name for path in folder.iterdir() if "features" in path.name)


def cached(model, store, rows, folder, **options):
    """The features, and how many images the network was shown for them."""
    shown = []
    found = cached_features(model, store, rows, folder=folder, name="validation", on_batch=shown.append, **options)
    return found, sum(shown)


def test_the_classifier_of_the_features_predicts_as_the_network(model, store, tmp_path):
    rows = store.rows("validation")
    found, _ = cached(model, store, rows, tmp_path, batch_size=5)
    assert found.shape == (len(rows), 16)
    assert found.dtype == np.float32
    with torch.no_grad():
        probabilities = model.network.classifier(feature_tensor(found)).double().softmax(dim=1).numpy()
    expected = predict_probabilities(model.network, store.image_tensor(), rows, architecture=SMALL)
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


def test_the_network_stays_as_it_was(model, store, tmp_path):
    before = {name: of.clone() for name, of in model.network.state_dict().items()}
    cached(model, store, store.rows("test"), tmp_path)
    assert all(torch.equal(of, before[name]) for name, of in model.network.state_dict().items())
    assert all(of.grad is None and of.requires_grad for of in model.network.parameters())


def test_the_second_call_reads_what_the_first_computed(model, store, tmp_path):
    rows = store.rows("validation")
    first, shown = cached(model, store, rows, tmp_path)
    second, again = cached(model, store, rows, tmp_path, batch_size=3)
    assert np.array_equal(first, second)
    assert (shown, again) == (len(rows), 0)
    assert isinstance(second, np.memmap)


def test_other_rows_weights_modes_or_data_are_computed_anew_and_the_old_file_goes(model, store, tmp_path):
    rows, folder = store.rows("validation"), tmp_path / "out"
    cached(model, store, rows, folder)
    other_data = Store(store.path, store.info.model_copy(update={"fingerprint": "other"}))
    changes = [
        (model, store, rows[::-1], {}),
        (model, store, rows, {"modes": ("bf16",) * 3}),
        (model, other_data, rows, {}),
        (run_of(model.path, store, seed=2), store, rows, {}),
    ]
    for changed, data, which, options in changes:
        _, shown = cached(changed, data, which, folder, **options)
        assert shown == len(rows)
        assert len(kept_in(folder)) == 1


def test_rows_of_another_name_have_a_file_of_their_own(model, store, tmp_path):
    for name in ("validation", "test"):
        cached_features(model, store, store.rows(name), folder=tmp_path / "out", name=name)
    assert len(kept_in(tmp_path / "out")) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_file_is_computed_anew(model, store, tmp_path, damage):
    rows, folder = store.rows("validation"), tmp_path / "out"
    first, _ = cached(model, store, rows, folder)
    first = np.array(first)
    path = folder / kept_in(folder)[0]
    if damage == "other":
        np.save(path, first.astype(np.float64))
    else:
        os.truncate(path, path.stat().st_size // 2 if damage == "cut" else 0)
    second, shown = cached(model, store, rows, folder)
    assert shown == len(rows)
    assert np.array_equal(first, second)


def test_one_that_is_stopped_leaves_nothing_behind(model, store, tmp_path):
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_features(model, store, store.rows("test"), folder=tmp_path / "out", name="test", on_batch=stop)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_killed_one_left_is_not_taken_for_features(model, store, tmp_path):
    rows, folder = store.rows("validation"), tmp_path / "out"
    cached(model, store, rows, folder)
    path = folder / kept_in(folder)[0]
    path.rename(folder / f".{path.name}.1.tmp")  # as atomic_path names what is not whole yet
    assert cached(model, store, rows, folder)[1] == len(rows)


def test_a_full_disk_is_one_line(model, store, small_disk):
    rows = np.resize(store.rows("train"), 100_000)
    with pytest.raises(CapacityError, match="cannot write"):
        cached_features(model, store, rows, folder=small_disk, name="train", batch_size=4096)
    assert kept_in(small_disk) == []


def test_features_that_are_nan_are_refused(model, store, tmp_path):
    with torch.no_grad():
        model.network.head.norm.bias.fill_(torch.nan)
    with pytest.raises(TrainingFailure, match="NaN"):
        cached(model, store, store.rows("test"), tmp_path / "out")
    assert kept_in(tmp_path / "out") == []


def test_a_network_that_predicts_by_more_than_itself_is_refused(model, store, tmp_path):
    class Other(type(model.network)):
        pass

    model.network.__class__ = Other
    with pytest.raises(RunError, match="its network predicts by more than itself"):
        cached(model, store, store.rows("test"), tmp_path)


def test_no_row_is_no_feature(model, store, tmp_path):
    with pytest.raises(RunError, match="no rows"):
        cached(model, store, np.empty(0, dtype=np.int64), tmp_path)


def test_the_layer_is_part_of_the_key(model, store, tmp_path, monkeypatch):
    rows = store.rows("validation")
    cached(model, store, rows, tmp_path / "out")
    monkeypatch.setattr(module, "LAYER", "another")
    assert cached(dataclasses.replace(model), store, rows, tmp_path / "out")[1] == len(rows)
