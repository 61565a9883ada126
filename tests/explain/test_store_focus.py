"""Figures of a store's images: what is kept of the maps, batch by batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mindgap.core.errors import DataError
from mindgap.data.classifier_facts import ClassifierFacts
from mindgap.data.image_store import Store
from mindgap.explain.explained_network import ExplainedNetwork
from mindgap.explain.explainer import EXPLAINERS
from mindgap.explain.focus import channel_focus, focus
from mindgap.explain.store_focus import channels_on_rows, explain_rows, lesions_of_rows
from mindgap.testing.tiny_store import SIZE_PX, write_tiny_store
from mindgap.testing.tiny_training import SMALL

N = 60


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store.open(write_tiny_store(tmp_path_factory.mktemp("focus") / "store", n=N, masks=True))


def made(classes=("dark", "red"), *, layer=None, method="grad-cam"):
    """A small network that nobody trained, but whose classifier tells the classes apart."""
    network = SMALL.build(seed=1).eval()
    with torch.no_grad():
        network.classifier.weight.normal_(generator=torch.Generator().manual_seed(0))
        network.classifier.bias.copy_(torch.tensor([0.0, 0.3]))
    half = (0.5, 0.5, 0.5)
    facts = ClassifierFacts(
        architecture="small", classes=("dark", "red"), task="single-label", input_px=SIZE_PX, resize="squash",
        mean=half, std=half,
    )  # fmt: skip
    explainer = EXPLAINERS.get(method)(layer=layer)
    return ExplainedNetwork.of(network, explainer, facts=facts, classes=classes, device=torch.device("cpu"))


def test_figures_are_those_of_image_by_image(store):
    explained, rows = made(), np.array([3, 7, 20, 41, N - 1])
    found = explain_rows(explained, store, rows, targets="label", batch_size=2)
    for place, row in enumerate(rows.tolist()):
        image = explained.batch(store, torch.tensor([row]))
        chances = explained.network(image).softmax(dim=1)[0].tolist()
        assert found.probabilities[place] == pytest.approx(chances, abs=1e-5)
        label = torch.tensor([int(store.labels[row])])
        maps = explained.explainer.maps(explained.network, image, label)
        mask = torch.from_numpy(store.masks[row : row + 1] > 0)
        assert found.focus[0].values[place] == pytest.approx(float(focus(maps, mask).values[0]), abs=1e-4, nan_ok=True)
        assert found.targets[0, place] == int(label)
    assert np.isnan(found.focus[0].values[-1]), "the last image has no mask"
    assert found.map_px == (8, 8)


def test_the_batches_do_not_change_the_figures(store):
    rows = store.rows("test")
    one = explain_rows(made(), store, rows, targets="predicted", batch_size=1, channels=True)
    many = explain_rows(made(), store, rows, targets="predicted", batch_size=64, channels=True)
    np.testing.assert_allclose(one.focus[0].values, many.focus[0].values, atol=1e-4)
    np.testing.assert_allclose(one.channels.focus, many.channels.focus, rtol=1e-4)
    np.testing.assert_array_equal(one.channels.counts, many.channels.counts)
    assert one.channels.images == many.channels.images == len(rows)
    np.testing.assert_array_equal(many.targets[0], many.probabilities.argmax(axis=1))


def test_classes_may_come_in_another_order(store):
    rows = np.arange(8)
    ours = explain_rows(made(), store, rows, targets=[0])
    theirs = explain_rows(made(("red", "dark")), store, rows, targets=[1])
    np.testing.assert_allclose(ours.probabilities, theirs.probabilities[:, ::-1])
    np.testing.assert_allclose(ours.focus[0].values, theirs.focus[0].values)


def test_several_classes_have_a_row_each(store):
    rows = np.arange(6)
    both = explain_rows(made(), store, rows, targets=[0, 1])
    for number in (0, 1):
        one = explain_rows(made(), store, rows, targets=[number])
        np.testing.assert_allclose(both.focus[number].values, one.focus[0].values)
        assert (both.targets[number] == number).all()


def test_an_empty_map_is_known_as_such(store):
    explained = made()
    with torch.no_grad():
        explained.network.classifier.weight.zero_()
    found = explain_rows(explained, store, np.arange(4), targets="predicted")
    assert found.is_blank.all()
    assert np.isnan(found.focus[0].values).all()


def test_a_network_that_predicts_nan_is_refused(store):
    explained = made()
    with torch.no_grad():
        explained.network.classifier.bias.fill_(torch.nan)
    with pytest.raises(DataError, match="predicts NaN"):
        explain_rows(explained, store, np.arange(4), targets="predicted")


def test_an_image_without_a_mask_has_no_lesion(store, tmp_path):
    found = lesions_of_rows(store, np.array([0, N - 1]))
    assert found.float().mean(dim=(1, 2)).tolist() == [0.25, 0]
    bare = Store.open(write_tiny_store(tmp_path / "bare", n=20))
    assert not lesions_of_rows(bare, np.arange(3)).any()


def test_channels_are_those_of_the_layer_batch_by_batch(store):
    explained, rows = made(layer="blocks.0"), np.arange(5)
    found = channels_on_rows(explained, store, rows, batch_size=2)
    maps = explained.channel_maps(explained.batch(store, torch.from_numpy(rows)))
    every = channel_focus(maps, lesions_of_rows(store, rows))
    np.testing.assert_allclose(found.values, every.values, rtol=1e-5)
    np.testing.assert_array_equal(found.why, every.why)
    sums = explain_rows(explained, store, rows, targets="label", channels=True).channels
    np.testing.assert_allclose(sums.mean_focus, np.nanmean(every.values, axis=0), rtol=1e-5)
