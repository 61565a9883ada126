"""FairPrune: which groups are compared, and what happens where none can be."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from mindgap.core.groups import Groups
from mindgap.testing.two_channels import PX, data_of, made_for, two_channels
from mindgap.train.mitigation import LabelledRows, TrainingData
from mindgap.train.squared_gradients import prunable_weights


def many_groups(sizes, *, right):
    """Images of so many groups, of which the given number is told rightly by a network that always says 0."""
    ids = np.repeat(np.arange(len(sizes)), sizes)
    labels = torch.cat([(torch.arange(size) >= told).long() for size, told in zip(sizes, right, strict=True)])
    pixels = torch.randint(0, 255, (len(ids), PX, PX, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    network, _ = two_channels()
    with torch.no_grad():
        network.classifier.bias.copy_(torch.tensor([40.0, -40.0]))
    names = tuple(f"g{number}" for number in range(len(sizes)))
    return network, data_of(pixels, labels, ids, names=names)


def test_small_groups_are_not_compared_where_two_reliable_ones_are():
    network, data = many_groups([40, 40, 29, 40], right=[30, 20, 29, 25])
    pruned = made_for(data, "fairprune")
    pruned.finish(network, data)
    assert (pruned.record["privileged"], pruned.record["unprivileged"]) == ("g0", "g1")
    assert pruned.record["accuracy"] == {"g0": 0.75, "g1": 0.5, "g2": 1.0, "g3": 0.625}


def test_small_groups_are_compared_where_there_are_no_others_and_it_is_said(caplog):
    network, data = many_groups([40, 1, 29], right=[30, 1, 0])
    pruned = made_for(data, "fairprune")
    with caplog.at_level(logging.INFO):
        pruned.finish(network, data)
    assert (pruned.record["privileged"], pruned.record["unprivileged"]) == ("g1", "g2")
    assert "g1 (1.000 of 1) is better off than g2 (0.000 of 29)" in caplog.text
    assert "fewer than 30 images do not tell who is better off" in caplog.text


def test_forty_groups_are_ranked():
    right = [k % 38 for k in range(1, 41)]
    network, data = many_groups([40] * 40, right=right)
    pruned = made_for(data, "fairprune", samples=4)
    pruned.finish(network, data)
    assert (pruned.record["privileged"], pruned.record["unprivileged"]) == ("g36", "g37")


def weights(network):
    return torch.cat([weight.flatten() for weight in prunable_weights(network).values()])


@pytest.mark.parametrize("ids", [[-1] * 120, [0] * 120], ids=["all unknown", "one group"])
def test_with_nobody_to_compare_nothing_changes_and_it_is_said(ids, caplog):
    network, data = two_channels()
    before = weights(network)
    data = data_of(data.images, data.train.labels, ids)
    pruned = made_for(data, "fairprune")
    with caplog.at_level(logging.INFO):
        pruned.finish(network, data)
    assert torch.equal(weights(network), before)
    assert pruned.record["privileged"] is None
    assert "no weight is removed: fewer than two groups of sex have validation images to compare" in caplog.text


def test_a_group_without_training_images_is_not_compared():
    network, data = many_groups([40, 40, 40], right=[40, 30, 20])
    ids = np.where(data.train.groups.ids == 0, -1, data.train.groups.ids)
    train = LabelledRows(data.train.rows, data.train.labels, Groups("sex", data.train.groups.names, ids))
    pruned = made_for(data, "fairprune")
    pruned.finish(network, TrainingData(data.images, train, data.validation, data.mean, data.std))
    assert (pruned.record["privileged"], pruned.record["unprivileged"]) == ("g1", "g2")
    assert pruned.record["accuracy"]["g0"] == 1.0


def test_equal_groups_are_not_ranked():
    network, data = two_channels()
    network.classifier.weight.data.zero_()
    labels = torch.arange(120) // 2 % 2
    data = data_of(data.images, labels, np.arange(120) % 2)
    pruned = made_for(data, "fairprune")
    pruned.finish(network, data)
    assert pruned.record["reason"] == "all groups of sex have the same accuracy and loss"
