"""One classifier per group: by hand, as one linear classifier without groups, and in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from mindgap.core.errors import ConfigError, TrainingFailure
from mindgap.space.network import Network
from mindgap.testing.tiny_training import tiny_images, tiny_network
from mindgap.train.evaluate import accuracy, predict_probabilities
from mindgap.train.loop import TrainSettings, train_network
from mindgap.train.loss import LOSSES
from mindgap.train.mitigation import TrainingFacts, make_mitigation

IMAGES = 12


def domainindep(*counts, classes=3, loss="ce"):
    names = tuple(f"g{number}" for number in range(len(counts)))
    return make_mitigation("domainindep", TrainingFacts(names, np.array(counts), classes, LOSSES.get(loss)()))


def adapted(mitigation):
    """A network whose blocks differ, in evaluation mode."""
    network = mitigation.adapt(tiny_network())
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.classifier.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return network.eval()


def test_each_image_has_its_own_block_and_one_of_no_group_the_sum_by_hand():
    outputs = torch.tensor([[1.0, 0.0, 0.0, 3.0]]).repeat(3, 1)
    found = domainindep(5, 5, classes=2).chosen(outputs, torch.tensor([0, 1, -1]))
    assert found.tolist() == [[1, 0], [0, 3], [1, 3]]


def test_all_blocks_start_as_the_plain_classifier():
    mitigation, images = domainindep(5, 5), tiny_images()
    groups = torch.tensor([0, 1] * 6)
    plain, network = tiny_network().eval(), mitigation.adapt(tiny_network()).eval()
    assert network(images).shape == (IMAGES, 6)
    assert torch.equal(mitigation.predict(network, images, groups), plain(images))
    torch.testing.assert_close(mitigation.predict(network, images, None), 2 * plain(images))


def test_an_image_trains_its_own_block_alone_and_one_of_no_group_all():
    mitigation = domainindep(5, 5, 5)
    for groups, trained in (([1] * IMAGES, [False, True, False]), ([-1] * IMAGES, [True] * 3)):
        network = adapted(mitigation).train()
        _, logits = mitigation.forward(network, tiny_images(), torch.tensor(groups))
        mitigation.facts.loss(logits, torch.arange(IMAGES) % 3).mean().backward()
        parts = network.classifier.weight.grad.view(3, 3, -1).abs().sum(dim=(1, 2))
        assert (parts > 0).tolist() == trained


def test_without_groups_it_is_one_linear_classifier_with_the_sum_of_the_weights():
    mitigation, images = domainindep(5, 5, 5), tiny_images()
    network = adapted(mitigation)
    plain = mitigation.without_groups(network)
    assert type(plain) is Network
    weight, bias = network.classifier.weight.detach(), network.classifier.bias.detach()
    by_hand = functional.linear(network.features(images), weight[:3] + weight[3:6] + weight[6:], bias.view(3, 3).sum(0))
    torch.testing.assert_close(plain(images), by_hand)
    torch.testing.assert_close(mitigation.predict(network, images, torch.full((IMAGES,), -1)), plain(images))
    assert network.classifier.out_features == 9, "the network is left as it was"


def test_a_group_without_a_training_image_is_in_no_sum_and_taken_as_unknown():
    mitigation = domainindep(5, 0, 5, classes=2)
    outputs = torch.tensor([[1.0, 0.0, 100.0, 100.0, 0.0, 3.0]]).repeat(2, 1)
    assert mitigation.chosen(outputs, torch.tensor([1, -1])).tolist() == [[1, 3], [1, 3]]
    network = adapted(mitigation)
    torch.testing.assert_close(
        mitigation.without_groups(network)(tiny_images()), mitigation.predict(network, tiny_images(), None)
    )
    with pytest.raises(ConfigError, match="domainindep: no training image has a known group of g0, g1; take another"):
        domainindep(0, 0)


def test_forty_groups_are_as_many_blocks():
    mitigation = domainindep(*[2] * 40)
    network, groups = adapted(mitigation), torch.arange(IMAGES) * 3
    blocks = network(tiny_images()).view(IMAGES, 40, 3)
    found = mitigation.predict(network, tiny_images(), groups)
    assert torch.equal(found, torch.stack([blocks[row, group] for row, group in enumerate(groups.tolist())]))


def trained(store, architecture, **options):
    settings = {"epochs": 6, "batch_size": 32, "precision": "fp32", "lr": 0.01, "mitigation": "domainindep"} | options
    return train_network(
        architecture.build(seed=1),
        store,
        train_rows=store.rows("train"),
        groups=store.groups("sex"),
        settings=TrainSettings(**settings),
        architecture=architecture,
    )


def chances(result, store, architecture, *, groups=None, task="single-label"):
    return predict_probabilities(
        result.network,
        store.image_tensor(),
        np.arange(store.n),
        architecture=architecture,
        task=task,
        modes=result.modes,
        mitigation=result.mitigation,
        groups=groups,
    )


def test_training_makes_the_blocks_differ_and_both_forms_learn(store, architecture):
    result = trained(store, architecture)
    blocks = result.network.classifier.weight.unflatten(0, (2, -1))
    assert not torch.allclose(blocks[0], blocks[1], atol=1e-3)
    known, unknown = (chances(result, store, architecture, groups=of) for of in (store.groups("sex"), None))
    assert not np.allclose(known, unknown, atol=1e-3)
    for found in (known, unknown):
        assert accuracy(store, np.arange(store.n), found) > 0.9
    alone = predict_probabilities(
        result.mitigation.without_groups(result.network),
        store.image_tensor(),
        np.arange(store.n),
        architecture=architecture,
    )
    np.testing.assert_allclose(alone, unknown, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_several_labels_are_a_sigmoid_per_block(make_store, architecture, precision):
    store = make_store(multi_label=True)
    result = trained(store, architecture, precision=precision, loss="bce", epochs=4)
    found = chances(result, store, architecture, groups=store.groups("sex"), task="multi-label")
    assert accuracy(store, np.arange(store.n), found) > 0.9


def test_a_learning_rate_too_high_is_a_failure_with_its_reason(store, architecture):
    with pytest.raises(TrainingFailure, match="lower the learning rate"):
        trained(store, architecture, lr=1e6, schedule="paper", epochs=1)
