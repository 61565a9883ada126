"""From a network to predictions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mindgap.core.errors import TrainingFailure
from mindgap.metrics.predictions import MultiLabelPredictions, Predictions
from mindgap.train.evaluate import accuracy, predict_probabilities
from mindgap.train.mitigation import AbstractMitigation
from mindgap.train.precision import BF16
from mindgap.train.store_predictions import to_predictions


@pytest.fixture
def network(architecture):
    network = architecture.build(seed=3)
    with torch.no_grad():
        network.classifier.weight.mul_(50)
    return network


def test_probabilities_are_the_softmax_of_the_normalised_images(store, architecture, network):
    rows = np.array([3, 0, 77])
    ours = predict_probabilities(network, store.image_tensor(), rows, architecture=architecture)
    mean, std = torch.tensor(architecture.mean), torch.tensor(architecture.std)
    images = (torch.from_numpy(store.images[rows]) / 255 - mean) / std
    with torch.no_grad():
        theirs = network.eval()(images.permute(0, 3, 1, 2)).double().softmax(1)
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)
    np.testing.assert_allclose(ours.sum(axis=1), 1, atol=1e-12)


def test_batch_size_and_precision_hardly_matter(store, architecture, network):
    rows, images = np.arange(store.n), store.image_tensor()
    whole = predict_probabilities(network, images, rows, architecture=architecture)
    pieces = predict_probabilities(network, images, rows, architecture=architecture, batch_size=7)
    narrow = predict_probabilities(network, images, rows, architecture=architecture, modes=BF16.modes(architecture))
    np.testing.assert_allclose(pieces, whole, atol=1e-5)
    np.testing.assert_allclose(narrow, whole, atol=0.05)


def test_no_rows_give_no_probabilities(store, architecture, network):
    none = predict_probabilities(network, store.image_tensor(), np.array([], dtype=np.int64), architecture=architecture)
    assert none.shape == (0, 2)
    assert math.isnan(accuracy(store, np.array([], dtype=np.int64), none))


def test_predictions_carry_ids_groups_and_clusters(store, architecture, network):
    rows = store.rows("test")
    probabilities = predict_probabilities(network, store.image_tensor(), rows, architecture=architecture)
    predictions = to_predictions(store, rows, probabilities)
    assert isinstance(predictions, Predictions)
    assert predictions.ids.tolist() == [f"i{row}" for row in rows]
    assert np.array_equal(predictions.groups["sex"].ids, store.groups("sex").ids[rows])
    assert np.array_equal(predictions.clusters, store.clusters[rows])
    assert predictions.cluster_names.tolist() == [f"c{row // 2}" for row in rows]
    assert accuracy(store, rows, probabilities) == (predictions.predicted == predictions.labels).mean()


def test_multi_label_probabilities_are_sigmoids(make_store, architecture, network):
    store = make_store(multi_label=True)
    rows = store.rows("test")
    probabilities = predict_probabilities(
        network, store.image_tensor(), rows, architecture=architecture, task=store.task
    )
    assert not np.allclose(probabilities.sum(axis=1), 1)
    predictions = to_predictions(store, rows, probabilities)
    assert isinstance(predictions, MultiLabelPredictions)
    assert predictions.label_names == ("red", "even")
    assert predictions.by_label["even"].cluster_names.tolist() == [f"c{row // 2}" for row in rows]


def test_a_network_that_predicts_nan_is_a_failure(store, architecture, network):
    with torch.no_grad():
        network.classifier.bias.fill_(math.nan)
    with pytest.raises(TrainingFailure, match="predicts NaN"):
        predict_probabilities(network, store.image_tensor(), store.rows("test"), architecture=architecture)


def test_a_mitigation_may_predict_by_group(store, architecture, network):
    class ByGroup(AbstractMitigation):
        def predict(self, network, images, groups):
            return torch.stack([groups, -groups], dim=1).float()

    rows, groups = store.rows("test"), store.groups("sex")
    probabilities = predict_probabilities(
        network,
        store.image_tensor(),
        rows,
        architecture=architecture,
        mitigation=ByGroup(None, None),
        groups=groups,
        batch_size=5,
    )
    np.testing.assert_allclose(probabilities[:, 0], 1 / (1 + np.exp(-2.0 * groups.ids[rows])))
