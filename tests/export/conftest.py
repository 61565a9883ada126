"""A network whose batch norms have seen something, and what is known of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mindgap.data.classifier_facts import ClassifierFacts
from mindgap.space.network import Network
from mindgap.testing.tiny_training import tiny_images, tiny_network


@pytest.fixture
def network() -> Network:
    network = tiny_network()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
    with torch.no_grad():
        network.train()(tiny_images())
    return network


@pytest.fixture(scope="session")
def multi_facts() -> ClassifierFacts:
    return ClassifierFacts(
        architecture="tiny",
        classes=("red", "even", "round"),
        task="multi-label",
        input_px=16,
        resize="crop",
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.25, 0.3),
    )
