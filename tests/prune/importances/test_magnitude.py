"""Magnitudes by hand, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.prune.importance import make_importance
from mindgap.testing.made_scoring import DEAD, coloured_network, made_scoring_data


def scores(layer: str, **options: object) -> torch.Tensor:
    network = coloured_network()
    filters = network.get_parameter("stem.conv.weight")
    scale = network.get_parameter("stem.norm.weight")
    with torch.no_grad():
        filters[0, 0, 0], scale[1] = torch.tensor([3.0, 0.0, -4.0]), -7.0
        filters[0, 0, 1:] = 0.0
    layers: dict[str, nn.Module] = {layer: network.get_submodule(layer)}
    return make_importance("magnitude", options).score(network, layers, made_scoring_data(), attribute=None)[layer]


def test_by_hand() -> None:
    assert scores("stem")[0] == pytest.approx(3 + 4)
    assert scores("stem", of="l2")[0] == pytest.approx(5)
    assert scores("stem", of="scale")[1] == 7
    assert scores("stem.conv", of="l2")[0] == pytest.approx(5)
    assert scores("stem")[DEAD].isnan()


def test_a_residual_blocks_two_convolutions_count_as_one() -> None:
    block = coloured_network().get_submodule("blocks.0")
    weights = [weight for name, weight in block.named_parameters() if weight.ndim == 4 and len(weight) == 6]
    assert len(weights) == 2
    sizes = sum(weight.flatten(1).abs().sum(dim=1) for weight in weights)
    torch.testing.assert_close(scores("blocks.0"), sizes.detach().double(), rtol=1e-6, atol=0)
    squares = sum(weight.flatten(1).square().sum(dim=1) for weight in weights)
    torch.testing.assert_close(scores("blocks.0", of="l2"), squares.detach().double().sqrt(), rtol=1e-6, atol=0)


def test_a_layer_without_batch_norm_has_no_scale() -> None:
    with pytest.raises(ConfigError, match=r"layer 'stem\.conv' has no batch norm .* use of=l1 or of=l2"):
        scores("stem.conv", of="scale")
    with pytest.raises(ConfigError, match="l3"):
        scores("stem", of="l3")
