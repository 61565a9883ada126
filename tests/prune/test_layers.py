"""Which layers can lose channels, and what is said of those that cannot."""

from __future__ import annotations

import pytest
import torch

from mindgap.core.errors import ConfigError, UnknownNameError
from mindgap.prune.layers import choose_layers, prunable_layers
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.network import resolve_network


def network_of(*blocks: BlockSpec, width: int | None = None, channels: int = 4):
    return Architecture(
        name="small", input_px=16, num_classes=2, stem=Stem(channels=channels), blocks=blocks, head=Head(width=width)
    ).build()


CB = BlockSpec(type="cb", out_channels=4)
SKIP = BlockSpec(type="skip", out_channels=4)


def test_they_are_named_from_the_image_to_the_classifier():
    network = network_of(CB, SKIP, BlockSpec(type="rb", out_channels=6), width=8)
    assert list(prunable_layers(network)) == [
        "stem",
        "blocks.0",
        "blocks.0.first",
        "blocks.0.second",
        "blocks.2",
        "blocks.2.body",
        "blocks.2.body.first",
        "blocks.2.body.second",
        "blocks.2.shortcut",
        "head",
    ]
    assert all(network.get_submodule(name) is layer for name, layer in prunable_layers(network).items())


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet50"])
def test_the_output_of_each_has_channels(name):
    network = resolve_network(name, num_classes=2, input_px=32).build().eval()
    shapes = {}
    for layer, module in prunable_layers(network).items():
        module.register_forward_hook(lambda _, __, output, layer=layer: shapes.update({layer: output.shape}))
    with torch.no_grad():
        network(torch.zeros(1, 3, 32, 32))
    assert list(prunable_layers(network)) == [layer for layer in prunable_layers(network) if len(shapes[layer]) == 4]


@pytest.mark.parametrize(
    ("blocks", "width", "chosen"),
    [((CB,), 8, "head"), ((CB, SKIP), None, "blocks.0"), ((SKIP,), None, "stem"), ((CB, CB), None, "blocks.1")],
)
def test_by_default_it_is_the_last_convolutional_stage(blocks, width, chosen):
    assert list(choose_layers(network_of(*blocks, width=width))) == [chosen]


def test_the_default_of_a_backbone_is_its_last_maps(fake_timm):
    network = resolve_network("timm:mini", num_classes=2, input_px=32).build()
    assert list(choose_layers(network)) == ["stem"]
    assert list(prunable_layers(network)) == ["stem", "stem.conv1", "stem.conv2"]


def test_named_ones_come_in_the_order_given():
    network = network_of(CB, width=8)
    assert list(choose_layers(network, ["head", "blocks.0.first"])) == ["head", "blocks.0.first"]
    assert choose_layers(network, []) == {}


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("blocks.0.frist", UnknownNameError, r"did you mean 'blocks.0.first'\? known: stem, blocks.0, head$"),
        ("body", UnknownNameError, r"no layer 'body'; known: stem, blocks.0, head$"),
        ("", UnknownNameError, "no layer ''"),
        ("classifier", ConfigError, r"'classifier' is no convolution \(Linear\) and has no channels to remove"),
        ("blocks.1", ConfigError, r"'blocks.1' is no convolution \(Identity\)"),
    ],
)
def test_other_names_are_refused_in_one_line(name, error, message):
    with pytest.raises(error, match=message) as refused:
        choose_layers(network_of(CB, SKIP, width=8), [name])
    assert "\n" not in str(refused.value)


def test_a_network_without_a_convolution_is_refused():
    network = network_of(SKIP)
    network.stem = torch.nn.Identity()
    with pytest.raises(ConfigError, match="has no convolution, so no channels can be removed"):
        choose_layers(network)
