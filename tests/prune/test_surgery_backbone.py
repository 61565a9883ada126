"""Another package's network loses channels, and is built, saved, counted and loaded without them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.prune.layers import choose_layers
from mindgap.prune.masking import masked
from mindgap.prune.surgery import remove_channels
from mindgap.space.architecture import Architecture, load_network, save_network
from mindgap.space.cost import count_cost
from mindgap.space.network import resolve_network
from mindgap.testing.awake_network import awake_network
from mindgap.testing.network import counted_macs

PX = 32


class Scaled(nn.Module):
    """A convolution whose channels are scaled by a parameter, as ConvNeXt has it."""

    def __init__(self, conv):
        super().__init__()
        self.conv, self.scale = conv, nn.Parameter(torch.ones(12, 1, 1))

    def forward(self, maps):
        return self.scale * self.conv(maps)


@pytest.fixture
def images():
    return torch.randn(3, 3, PX, PX, generator=torch.Generator().manual_seed(0))


def backbone(name="branches"):
    architecture = resolve_network(f"timm:{name}", num_classes=3, input_px=PX)
    return architecture, awake_network(architecture)


@pytest.mark.parametrize(
    ("layer", "gone"),
    [
        ("stem", {"last"}),
        ("stem.last", {"last"}),
        ("stem.first", {"first", "depthwise", "excite"}),
        ("stem.excite", {"first", "depthwise", "excite"}),
        ("stem.squeeze", {"squeeze"}),
        ("stem.left", {"left"}),
        ("stem.right", {"right"}),
    ],
)
def test_its_channels_go_with_gates_sums_and_their_places_side_by_side(fake_timm, images, tmp_path, layer, gone):
    architecture, network = backbone()
    plain = network(images)
    pruned = remove_channels(architecture, network, {layer: [0, 3]})
    with masked(network, {layer: [0, 3]}, px=PX):
        torch.testing.assert_close(pruned.network(images), network(images), rtol=0, atol=1e-5)
        assert not torch.allclose(network(images), plain, rtol=0, atol=1e-4)
    assert pruned.removed == {f"stem.{name}": (0, 3) for name in gone}
    save_network(tmp_path, pruned.architecture, pruned.network)
    again, loaded = load_network(tmp_path)
    assert again == pruned.architecture
    torch.testing.assert_close(loaded.eval()(images), pruned.network(images), rtol=0, atol=0)


def test_its_description_says_the_shapes_that_are_left(fake_timm, images):
    architecture, network = backbone("mini")
    (last,) = choose_layers(network)
    pruned = remove_channels(architecture, network, {last: [1, 2]})
    described = pruned.architecture
    assert described.stem.channels == pruned.network.classifier.in_features == 6
    norm = {f"bn2.{name}": (6,) for name in ("weight", "bias", "running_mean", "running_var")}
    assert described.stem.narrowed == {"conv2.weight": (6, 8, 3, 3)} | norm
    assert Architecture.from_json(described.to_json()) == described
    cost, whole = count_cost(described), count_cost(architecture)
    assert cost.params == sum(of.numel() for of in pruned.network.parameters())
    assert cost.macs == counted_macs(pruned.network, PX) < whole.macs
    assert count_cost(architecture) == whole
    assert described.for_task(num_classes=2, input_px=48).build()(images).shape == (3, 2)


def test_it_is_pruned_again(fake_timm, images):
    architecture, network = backbone("mini")
    for step in range(1, 4):
        pruned = remove_channels(architecture, network, {"stem": [0], "stem.conv1": [step]})
        architecture, network = pruned.architecture, pruned.network
        assert architecture.stem.narrowed["conv2.weight"] == (8 - step, 8 - step, 3, 3)
        assert network(images).shape == architecture.build()(images).shape


def test_a_description_from_before_reads_as_a_whole_network(fake_timm):
    architecture, _ = backbone("mini")
    text = architecture.to_json().replace(',\n  "narrowed": {}', "")
    assert "narrowed" not in text
    assert Architecture.from_json(text) == architecture


@pytest.mark.parametrize(
    ("part", "layer", "message"),
    [
        (None, "stem.groups", r"channels of stem\.groups pass stem\.groups \(Conv2d\), of which single ones cannot"),
        (None, "stem.wide", r"channels of stem\.wide pass stem\.groups \(Conv2d\)"),
        (("norm", lambda _: nn.GroupNorm(2, 8)), "stem.first", r"pass stem\.norm \(GroupNorm\)"),
        (("last", Scaled), "stem", r"pass a parameter of its own \(Parameter\)"),
        (("last", lambda conv: nn.Sequential(conv, nn.Flatten(2))), "stem.last", "does not compute|gives no maps"),
    ],
)
def test_channels_that_cannot_go_alone_are_refused_in_one_line(fake_timm, part, layer, message):
    _, network = backbone()
    if part is not None:
        setattr(network.stem, part[0], part[1](getattr(network.stem, part[0])))
    with pytest.raises(ConfigError, match=message) as refused:
        masked(network, {layer: [0]}, px=PX).__enter__()
    assert "\n" not in str(refused.value)


def test_a_description_of_other_shapes_is_refused_when_it_is_built(fake_timm):
    architecture, _ = backbone("mini")
    stem = architecture.stem.model_copy(update={"narrowed": {"conv9.weight": (6, 8, 3, 3)}})
    with pytest.raises(ConfigError, match=r"timm:mini: conv9\.weight is missing there and cannot become"):
        architecture.model_copy(update={"stem": stem}).build()
