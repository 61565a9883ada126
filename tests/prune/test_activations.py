"""What layers put out is recorded as it was, whatever follows, and the network is left as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.prune.activations import layer_outputs
from mindgap.testing.importance import hooks
from mindgap.testing.made_scoring import coloured_network


def named(network: nn.Module, *names: str) -> dict[str, nn.Module]:
    return {name: network.get_submodule(name) for name in names}


def test_activations_in_place_do_not_change_what_was_recorded() -> None:
    network, images = coloured_network(), torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        logits, maps = layer_outputs(network, named(network, "head", "stem.norm", "stem.conv", "stem"), images)
        conv = nn.functional.conv2d(images, network.get_parameter("stem.conv.weight"), None, 2, 1)
        norm = network.get_submodule("stem.norm")(conv)
        torch.testing.assert_close(logits, network(images))
        torch.testing.assert_close(maps["head"], network.feature_maps(images))
    assert list(maps) == ["head", "stem.norm", "stem.conv", "stem"]
    torch.testing.assert_close(maps["stem.conv"], conv)
    torch.testing.assert_close(maps["stem.norm"], norm)
    torch.testing.assert_close(maps["stem"], norm.relu())
    assert (norm < 0).any()
    assert not any(hooks(module) for module in network.modules())


def test_logits_can_be_differentiated_by_every_layer() -> None:
    network, images = coloured_network(), torch.randn(2, 3, 16, 16)
    logits, maps = layer_outputs(network, named(network, "stem.norm", "blocks.0", "head"), images)
    slopes = torch.autograd.grad(logits.sum(), list(maps.values()))
    per_pixel = network.classifier.weight.sum(dim=0) / maps["head"][0, 0].numel()
    torch.testing.assert_close(slopes[2], per_pixel[None, :, None, None].expand_as(slopes[2]).detach())
    assert all(slope.abs().sum() > 0 for slope in slopes)


class Odd(nn.Module):
    """Calls a layer twice and has one that it never calls; another puts out a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.never, self.pair, self.flat = nn.ReLU(), nn.ReLU(), Pair(), nn.Flatten()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        one, other = self.pair(images)
        return self.flat(self.twice(one) + self.twice(other))


class Pair(nn.Module):
    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return images, -images


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("twice", "layer 'twice' is called more than once"),
        ("never", "layer 'never' is not called"),
        ("pair", r"layer 'pair' puts out tuple, no maps"),
        ("flat", r"layer 'flat' puts out a tensor of shape \(2, 48\), no maps"),
    ],
)
def test_a_layer_without_maps_of_its_own_is_refused_and_leaves_no_hook(name: str, words: str) -> None:
    network = Odd()
    with pytest.raises(ConfigError, match=words) as raised:
        layer_outputs(network, named(network, name), torch.zeros(2, 3, 4, 4))
    assert "\n" not in str(raised.value)
    assert not any(hooks(module) for module in network.modules())
