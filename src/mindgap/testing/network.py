"""The contract of a reference network."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch
from torch import nn

from mindgap.space.architecture import Architecture, load_network, save_network
from mindgap.space.block import BLOCKS
from mindgap.space.cost import count_cost
from mindgap.space.network import NETWORKS, Network, resolve_network

CLASSES = 5
PX = 64


def counted_macs(network: nn.Module, px: int) -> int:
    """Multiply-adds of one image, by forward hooks on convolutions and linear layers."""
    total = 0

    def count(module: nn.Module, _: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        total += weight[0].numel() * output.numel()

    layers = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, px, px))
    for hook in hooks:
        hook.remove()
    return total


class NetworkConformance:
    """Inherit it and give the fixture ``name``, the registered name of the network."""

    @pytest.fixture
    def architecture(self, name: str) -> Architecture:
        """The network for a small task."""
        return resolve_network(name, num_classes=CLASSES, input_px=PX)

    @pytest.fixture
    def network(self, architecture: Architecture) -> Network:
        """The built network in eval mode."""
        return architecture.build(seed=0).eval()

    def test_it_says_in_one_line_what_it_is(self, name: str) -> None:
        assert (inspect.getdoc(NETWORKS.get(name)) or "").partition("\n")[0].endswith(".")

    def test_it_is_data_of_registered_blocks(self, name: str, architecture: Architecture) -> None:
        assert architecture.name == name
        assert {block.type for block in architecture.blocks} <= set(BLOCKS.names())
        assert Architecture.from_json(architecture.to_json()) == architecture

    def test_it_gives_logits_and_features(self, network: Network) -> None:
        images = torch.randn(2, 3, PX, PX)
        with torch.inference_mode():
            features = network.features(images)
            assert torch.equal(network.classifier(features), network(images))
        assert features.shape == (2, network.classifier.in_features)

    @pytest.mark.parametrize("px", [32, 48, 96])
    def test_it_takes_other_sizes(self, network: Network, px: int) -> None:
        with torch.inference_mode():
            assert network(torch.randn(1, 3, px, px)).shape == (1, CLASSES)

    def test_its_cost_is_that_of_the_built_network(self, architecture: Architecture, network: Network) -> None:
        cost = count_cost(architecture)
        assert cost.params == sum(parameter.numel() for parameter in network.parameters())
        assert cost.macs == counted_macs(network, PX)

    def test_convolutions_before_batch_norm_have_no_bias(self, network: Network) -> None:
        assert all(module.bias is None for module in network.modules() if isinstance(module, nn.Conv2d))

    def test_it_saves_and_loads_with_identical_logits(
        self, tmp_path: Path, architecture: Architecture, network: Network
    ) -> None:
        save_network(tmp_path, architecture, network)
        images = torch.randn(1, 3, PX, PX)
        with torch.inference_mode():
            assert torch.equal(load_network(tmp_path)[1].eval()(images), network(images))
