"""CAM by hand, what it adds up to, what it has to do with Grad-CAM, and the networks it is not for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.explain.explainers.cam import Cam
from mindgap.explain.explainers.grad_cam import GradCam
from mindgap.space.network import Network
from mindgap.testing.tiny_training import CLASSES, tiny_images, tiny_network

TARGETS = torch.arange(12) % CLASSES


def network_of_maps(weights: torch.Tensor) -> Network:
    """A network whose last maps are its input, and whose classifier has these weights (C, 3)."""
    network = Network(
        stem=nn.Identity(),
        blocks=nn.Sequential(),
        head=nn.Identity(),
        dropout=0.2,
        features=3,
        num_classes=len(weights),
    )
    with torch.no_grad():
        network.classifier.weight.copy_(weights)
    return network.eval()


def test_by_hand() -> None:
    network = network_of_maps(torch.tensor([[1.0, -1, 0], [0, 2, 1]]))
    maps = torch.tensor([[[[2.0, 1], [0, 4]], [[3, 0], [0, 1]], [[5, 7], [1, 0]]]])
    assert Cam().maps(network, maps, torch.tensor([0])).tolist() == [[[-1, 1], [0, 3]]]
    assert Cam().maps(network, maps, torch.tensor([1])).tolist() == [[[11, 7], [1, 2]]]


def test_its_mean_and_the_bias_are_the_logit() -> None:
    network = tiny_network().eval()
    with torch.no_grad():
        nn.init.normal_(network.classifier.bias, generator=torch.Generator().manual_seed(0))
        logits = network(tiny_images()).gather(1, TARGETS[:, None])[:, 0]
    maps = Cam().maps(network, tiny_images(), TARGETS)
    torch.testing.assert_close(maps.mean(dim=(1, 2)) + network.classifier.bias.detach()[TARGETS], logits)


def test_clipped_it_is_grad_cam_times_the_number_of_pixels() -> None:
    # y^c = b + Σ_k w_k mean(f_k), so ∂y^c/∂f_k = w_k/Z everywhere, α_k = w_k/Z, and Σ_k α_k f_k = CAM/Z
    network = tiny_network().eval()
    network.classifier.weight.data.mul_(1000)
    maps = Cam().maps(network, tiny_images(), TARGETS)
    pixels = maps[0].numel()
    assert maps.min() < 0 < maps.max()
    torch.testing.assert_close(maps.relu(), pixels * GradCam().maps(network, tiny_images(), TARGETS))


def of_another_pool() -> Network:
    network = tiny_network().eval()
    network.pool = nn.AdaptiveMaxPool2d(1)
    return network.eval()


def of_two_layers() -> Network:
    network = tiny_network().eval()
    network.classifier = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    return network.eval()


class Squared(Network):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).square()


def of_another_forward() -> Network:
    network = tiny_network().eval()
    network.__class__ = Squared
    return network


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (of_another_pool, "ends in AdaptiveMaxPool2d and Linear: use grad-cam"),
        (of_two_layers, "ends in AdaptiveAvgPool2d and Sequential: use grad-cam"),
        (of_another_forward, "Squared has a forward of its own: use grad-cam"),
    ],
)
def test_networks_of_another_form_are_refused(make, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        Cam().maps(make(), tiny_images(), TARGETS)
    assert "\n" not in str(error.value)
    assert GradCam().maps(make(), tiny_images(), TARGETS).isfinite().all()


def test_another_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match="not layer 'stem'; leave the layer out"):
        Cam(layer="stem").maps(tiny_network().eval(), tiny_images(), TARGETS)
    Cam(layer="head").maps(tiny_network().eval(), tiny_images(), TARGETS)
