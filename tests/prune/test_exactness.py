"""A removal that would not compute what silence does is refused, and an exact one never is."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.prune.coupling import coupled_channels, map_channels
from mindgap.prune.exactness import remove_exactly
from mindgap.prune.layers import prunable_layers
from mindgap.prune.surgery import remove_channels
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.network import NETWORKS, resolve_network
from mindgap.testing.awake_network import awake_network

SMALL = Architecture(
    name="small",
    input_px=16,
    num_classes=3,
    stem=Stem(channels=8),
    blocks=(BlockSpec(type="cb", out_channels=8), BlockSpec(type="cb", out_channels=8)),
    head=Head(width=8),
)


class Preceded(nn.Conv2d):
    """A convolution of what a function makes of the maps."""

    def forward(self, maps):
        return super().forward(self.function(maps))


class Standardised(nn.Conv2d):
    """A convolution whose filters have mean 0 and variance 1 over their inputs."""

    def forward(self, maps):
        centred = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return F.conv2d(maps, centred / centred.std(dim=(1, 2, 3), keepdim=True), padding=self.padding)


def small_network(function):
    """A network in which the stem's maps pass a function that no graph of channels sees."""
    network = awake_network(SMALL)
    network.blocks[0].first.conv.__class__ = Preceded
    network.blocks[0].first.conv.function = function
    return network


@pytest.mark.parametrize(
    "function",
    [
        lambda maps: maps.softmax(dim=1),
        lambda maps: F.layer_norm(maps.movedim(1, -1), (maps.shape[1],)).movedim(-1, 1),
        lambda maps: maps * maps.mean(dim=1, keepdim=True),
    ],
)
def test_functions_across_channels_are_refused_in_one_line(function):
    network = small_network(function)
    with pytest.raises(ConfigError, match=r"the logits are up to \S+ \(of \S+\) from those with the") as refused:
        remove_channels(SMALL, network, {"stem": [1, 2]})
    assert "\n" not in str(refused.value)
    assert network.blocks[0].first.conv.out_channels == 8


@pytest.mark.parametrize("function", [torch.sigmoid, lambda maps: maps + 1, F.softplus])
def test_functions_that_give_silence_a_value_are_refused(function):
    network = small_network(function)
    with pytest.raises(ConfigError, match="works across channels or gives silent ones a value; name other layers"):
        remove_channels(SMALL, network, {"stem": [1]})


def test_functions_to_which_a_silent_channel_is_none_are_not_refused():
    """Nothing changes where 0 stays 0, nor is a sum of squares another without it."""
    for function in (torch.tanh, torch.sin, lambda maps: maps * maps, lambda maps: F.normalize(maps, dim=1)):
        assert remove_channels(SMALL, small_network(function), {"stem": [1]}).removed == {"stem": (1,)}


def test_convolutions_whose_weights_are_standardised_are_refused():
    network = awake_network(SMALL)
    network.blocks[0].first.conv.__class__ = Standardised
    with pytest.raises(ConfigError, match="without channels of stem"):
        remove_channels(SMALL, network, {"stem": [1]})


def test_networks_that_give_nan_are_refused():
    network = awake_network(SMALL)
    nn.init.constant_(network.classifier.bias, torch.nan)
    with pytest.raises(ConfigError, match="logits of an image of noise are not finite, so a removal from head"):
        remove_channels(SMALL, network, {"head": [1]})


@pytest.mark.parametrize(
    ("name", "px"), [*((name, 48) for name in NETWORKS.names()), ("mobilenet_v2", 224), ("resnet18", 224)]
)
def test_rounding_refuses_no_reference_network(name, px):
    architecture = resolve_network(name, num_classes=7, input_px=px)
    network = awake_network(architecture)
    counts = map_channels(network, prunable_layers(network), px=px)
    coupled = coupled_channels(network, {of: range(0, count, 2) for of, count in counts.items()}, px=px)
    assert remove_exactly(coupled, px=px, layers=counts).classifier.in_features == network.classifier.in_features // 2


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16])
def test_rounding_refuses_no_other_precision(kind):
    network = awake_network(SMALL).to(kind)
    assert remove_channels(SMALL, network, {"stem": [1], "head": [2, 3]}).network.classifier.in_features == 6


def test_networks_stay_in_the_mode_that_they_were_in():
    network = awake_network(SMALL).train()
    network.blocks[0].eval()
    statistics = {name: of.clone() for name, of in network.named_buffers()}
    modes = [module.training for module in network.modules()]
    state = torch.get_rng_state()
    pruned = remove_channels(SMALL, network, {"head": [1]}).network
    for one in (network, pruned):
        assert [module.training for module in one.modules()] == modes
        assert not any(module._forward_hooks for module in one.modules())
    assert all(torch.equal(statistics[name], of) for name, of in network.named_buffers())
    assert torch.equal(pruned.stem.norm.running_mean, statistics["stem.norm.running_mean"])
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_that_draws_does_not_move_the_global_random_state():
    network = small_network(lambda maps: maps * torch.rand(()))
    state = torch.get_rng_state()
    remove_channels(SMALL, network, {"stem": [1]})
    assert torch.equal(torch.get_rng_state(), state)
