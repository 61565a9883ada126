"""Blocks of others lose channels too, as far as their choices can say what is left."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.prune.masking import masked
from mindgap.prune.surgery import remove_channels
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.block import BLOCKS, AbstractBlock
from mindgap.space.layers import conv_unit
from mindgap.testing.awake_network import awake_network


class Pair(AbstractBlock):
    """Two convolutions of five channels in the middle, of which no choice says anything."""

    def choices(self):
        return {"out_channels": (4, 8)}

    def build(self, in_channels, out_channels, stride):
        first = conv_unit(in_channels, 5, kernel=3, stride=stride, act="relu")
        return nn.Sequential(first, nn.Dropout2d(0.5), nn.Conv2d(5, out_channels, 1))


@pytest.fixture
def architecture(monkeypatch):
    monkeypatch.setitem(BLOCKS._entries, "pair", Pair)
    spec = BlockSpec(type="pair", out_channels=8)
    return Architecture(
        name="theirs", input_px=16, num_classes=2, stem=Stem(channels=4), blocks=(spec, spec), head=Head()
    )


def test_what_it_puts_out_is_described_by_its_width(architecture):
    network = awake_network(architecture)
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    channels = {"blocks.0": [1, 2], "blocks.1.2": [0]}
    pruned = remove_channels(architecture, network, channels)
    assert [spec.out_channels for spec in pruned.architecture.blocks] == [6, 7]
    assert pruned.removed == {"blocks.0.2": (1, 2), "blocks.1.2": (0,)}
    with torch.no_grad(), masked(network, channels):
        torch.testing.assert_close(pruned.network(images), network(images), rtol=0, atol=1e-5)


def test_a_width_that_no_choice_says_stays(architecture):
    network = awake_network(architecture)
    with pytest.raises(ConfigError, match=r"blocks\.0\.0\.conv\.weight is \(4, .* its blocks cannot say these numbers"):
        remove_channels(architecture, network, {"blocks.0.0": [1]})
    assert network.blocks[0][0].conv.out_channels == 5


class Shuffled(nn.Module):
    """Halves of the channels, one of them activated, side by side again."""

    def forward(self, maps):
        left, right = maps.chunk(2, dim=1)
        return torch.cat([left.relu(), right], dim=1)


def test_a_network_that_cannot_be_traced_is_refused_in_one_line(architecture):
    network = awake_network(architecture)
    network.blocks[0].append(Shuffled())
    for attempt in (
        lambda: remove_channels(architecture, network, {"stem": [1]}),
        lambda: masked(network, {"stem": [1]}, px=16).__enter__(),
    ):
        with pytest.raises(ConfigError, match=r"with channels of stem: torch-pruning cannot trace the network") as said:
            attempt()
        assert "\n" not in str(said.value)
    assert not [name for name, _ in network.named_modules() if "probe" in name]
