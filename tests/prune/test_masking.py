"""Masked channels are silent where removed ones are gone, and what cannot be removed cannot be masked either."""

from __future__ import annotations

import pytest
import torch

from mindgap.core.errors import ConfigError, UnknownNameError
from mindgap.prune.masking import masked
from mindgap.prune.surgery import remove_channels
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.testing.awake_network import awake_network

STAGE = Architecture(
    name="stage",
    input_px=16,
    num_classes=3,
    stem=Stem(channels=6),
    blocks=(BlockSpec(type="rb", out_channels=6), BlockSpec(type="rb", out_channels=6)),
    head=Head(width=8),
)


@pytest.fixture
def network():
    return awake_network(STAGE)


@pytest.fixture
def images():
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_masking_leaves_no_hook_behind_even_if_it_fails(network, images):
    before = network(images)
    with masked(network, {"blocks.0": [1]}):
        assert not torch.equal(network(images), before)
    with pytest.raises(RuntimeError, match="channels"), masked(network, {"blocks.0": [1]}):
        network(images[:, :2])
    assert torch.equal(network(images), before)
    assert not any(module._forward_hooks for module in network.modules())


def test_masked_channels_are_silent_in_every_member_of_a_stage(network, images):
    seen = []
    for layer in (network.stem, *network.blocks):
        layer.register_forward_hook(lambda _, __, output: seen.append(output))
    with masked(network, {"blocks.1": [1, 4]}):
        network(images)
    for maps in seen:
        assert not maps[:, [1, 4]].any()
        assert all(maps[:, channel].any() for channel in (0, 2, 3, 5))


@pytest.mark.parametrize(
    ("channels", "error", "message"),
    [
        ({"head": range(8)}, ConfigError, "head would lose all of its 8 channels; remove fewer, one has to stay"),
        ({"head": [8]}, ConfigError, "head has no channel 8; its channels are 0 to 7"),
        ({"head": [-1]}, ConfigError, "head has no channel -1"),
        ({"haed": [1]}, UnknownNameError, "did you mean 'head'"),
        ({"classifier": [1]}, ConfigError, r"'classifier' is no convolution \(Linear\)"),
        (
            {"blocks.0": [0, 1, 2], "blocks.1": [3, 4, 5]},
            ConfigError,
            r"would lose all of its 6 channels, as blocks\.0, blocks\.1 go together",
        ),
    ],
)
def test_what_cannot_be_removed_is_refused_in_one_line(network, channels, error, message):
    for attempt in (
        lambda: remove_channels(STAGE, network, channels),
        lambda: masked(network, channels).__enter__(),
    ):
        with pytest.raises(error, match=message) as refused:
            attempt()
        assert "\n" not in str(refused.value)
