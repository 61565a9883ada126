"""A network with a hidden layer before its classifier is a network like any other."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.explain.explainers.cam import Cam
from mindgap.prune.masking import masked
from mindgap.prune.surgery import remove_channels
from mindgap.report.network_drawing import draw_network
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem, load_network, save_network
from mindgap.space.cost import count_cost
from mindgap.testing.awake_network import awake_network
from mindgap.train.inference import InferenceNetwork
from mindgap.train.mitigations.fairadabn import GroupMean
from mindgap.train.modes import in_modes

PX = 16


def described(width: int | None = 8, hidden: int | None = 5) -> Architecture:
    return Architecture(
        name="small",
        input_px=PX,
        num_classes=3,
        stem=Stem(channels=6),
        blocks=(BlockSpec(type="rb", out_channels=7, choices={"kernel": 3, "hidden_channels": 4}),),
        head=Head(width=width, hidden=hidden),
    )


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 3, PX, PX, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("width", [None, 8])
def test_its_costs_are_those_of_its_layers(width: int | None) -> None:
    before = 7 if width is None else width
    plain, hidden = (count_cost(described(width, hidden)) for hidden in (None, 5))
    assert hidden.params - plain.params == (before + 1) * 5 + (5 + 1) * 3 - (before + 1) * 3
    assert hidden.macs - plain.macs == before * 5 + 5 * 3 - before * 3
    network = described(width).build()
    assert sum(of.numel() for of in network.parameters()) == hidden.params
    assert network.map_channels == before


def test_without_one_the_description_does_not_mention_it() -> None:
    assert "hidden" not in Head(width=8).model_dump()
    assert Architecture.from_json(described().to_json()) == described()


def test_features_are_its_hidden_units(images: torch.Tensor) -> None:
    network = awake_network(described()).eval()
    layer = network.hidden.get_submodule("0")
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        pooled = network.feature_maps(images).mean(dim=(2, 3))
        torch.testing.assert_close(network.features(images), layer(pooled).relu())
        torch.testing.assert_close(network(images), network.classifier(network.features(images)))


@pytest.mark.parametrize("mode", ["fp32", "bf16"])
def test_it_predicts_fast_and_in_modes_as_by_itself(images: torch.Tensor, mode: str) -> None:
    network = awake_network(described()).eval()
    atol = 1e-5 if mode == "fp32" else 0.1
    with torch.no_grad():
        expected = network(images)
        torch.testing.assert_close(InferenceNetwork(network, [mode] * 3)(images), expected, rtol=0, atol=atol)
        with in_modes(network, [mode] * 3):
            given = network(images)
    assert given.dtype == torch.float32
    torch.testing.assert_close(given, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("width", [None, 8])
def test_channels_before_it_are_removed(images: torch.Tensor, width: int | None) -> None:
    architecture = described(width)
    network = awake_network(architecture).eval()
    channels = {"blocks.0": [1, 4]} if width is None else {"head": [0, 3, 5]}
    pruned = remove_channels(architecture, network, channels)
    with torch.no_grad(), masked(network, channels, px=PX):
        torch.testing.assert_close(pruned.network(images), network(images), rtol=0, atol=1e-5)
    assert pruned.architecture.head == Head(width=None if width is None else 5, hidden=5)
    assert pruned.network.map_channels == 5


def test_it_is_kept_in_a_mean_over_groups(images: torch.Tensor) -> None:
    network = awake_network(described()).eval()
    mean = GroupMean(network, forms=[0], multi_label=False).eval()
    with torch.no_grad():
        torch.testing.assert_close(mean(images).softmax(dim=1), network(images).softmax(dim=1))


def test_it_is_saved_and_read(images: torch.Tensor, tmp_path) -> None:
    network = awake_network(described()).eval()
    save_network(tmp_path, described(), network)
    architecture, again = load_network(tmp_path)
    assert architecture == described()
    assert torch.equal(again.eval()(images), network(images))


def test_cam_refuses_it(images: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="has a hidden layer between them: use grad-cam"):
        Cam().maps(awake_network(described()).eval(), images, torch.zeros(4, dtype=torch.long))


def test_its_drawing_says_so() -> None:
    assert "8 → 5 hidden units" in draw_network(described())[-1].lines
    assert "5 → 3 classes" in draw_network(described())[-1].lines
