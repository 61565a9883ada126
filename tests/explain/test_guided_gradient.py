"""Guided backpropagation by hand, through every way to call an activation, and against captum's."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from captum.attr import GuidedBackprop
from torch import nn
from torch.utils.checkpoint import checkpoint

from mindgap.core.errors import ConfigError, ShapeError
from mindgap.explain.explainers.grad_cam import GradCam
from mindgap.explain.explainers.guided_grad_cam import GuidedGradCam
from mindgap.explain.guided_gradient import guide, guided_gradient
from mindgap.explain.resize import to_image_size
from mindgap.space.network import Network, resolve_network


class Applied(nn.Module):
    """An activation called as a function."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.function(maps)


def two_layers(activation: Callable[[], nn.Module]) -> Network:
    """For one pixel x: u = (x1+x2, x3-x1, x1-x2, x2+2·x3), v = (h1-h2+h4/2, h2+h3) of h = f(u); y = f(v1)-f(v2)."""
    first, second = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 2, 1, bias=False)
    network = Network(
        stem=nn.Sequential(first, activation()),
        blocks=nn.Sequential(nn.Sequential(second, activation())),
        head=nn.Identity(),
        dropout=0.0,
        features=2,
        num_classes=1,
    )
    with torch.no_grad():
        first.weight[:, :, 0, 0] = torch.tensor([[1, 1, 0], [-1, 0, 1], [1, -1, 0], [0, 1, 2]])
        second.weight[:, :, 0, 0] = torch.tensor([[1, -1, 0, 0.5], [0, 1, 1, 0]])
        network.classifier.weight[:] = torch.tensor([[1, -1]])
    return network.eval()


def guided(network: Network, *pixel: float) -> list[float]:
    image = torch.tensor(pixel, dtype=torch.float32)[None, :, None, None]
    return guided_gradient(network, image, torch.tensor([0])).flatten().tolist()


RELUS: dict[str, Callable[[], nn.Module]] = {
    "module": nn.ReLU,
    "in place": lambda: nn.ReLU(inplace=True),
    "functional": lambda: Applied(F.relu),
    "functional in place": lambda: Applied(lambda maps: F.relu(maps, inplace=True)),
    "torch": lambda: Applied(torch.relu),
    "method": lambda: Applied(lambda maps: maps.relu()),
    "method in place": lambda: Applied(lambda maps: maps.relu_()),
    "clamp": lambda: Applied(lambda maps: maps.clamp(min=0)),
    "clamp_min": lambda: Applied(lambda maps: maps.clamp_min(0.0)),
    "clamp by a tensor": lambda: Applied(lambda maps: maps.clamp(min=torch.tensor(0.0))),
    "maximum": lambda: Applied(lambda maps: torch.maximum(maps, torch.tensor(0.0))),
    "maximum of zeros": lambda: Applied(lambda maps: torch.max(torch.zeros_like(maps), maps)),
    "fmax": lambda: Applied(lambda maps: torch.fmax(maps, torch.tensor(0.0))),
    "threshold": lambda: nn.Threshold(0, 0),
    "checkpoint": lambda: Applied(lambda maps: checkpoint(F.relu, maps, use_reentrant=False)),
}


@pytest.mark.parametrize("way", RELUS)
def test_by_hand_of_every_relu(way: str) -> None:
    # x = (1, 2, 3): u = (3, 2, -1, 8), v = (5, 2). δ of h = (1, -1, 0, 1/2) as f(v2) loses, so δ of u = (1, 0, 0, 1/2).
    assert guided(two_layers(RELUS[way]), 1, 2, 3) == [1, 1.5, 1]


def test_the_plain_gradient_of_that_case_is_another() -> None:
    image = torch.tensor([1.0, 2, 3]).reshape(1, 3, 1, 1).requires_grad_()
    two_layers(nn.ReLU)(image).sum().backward()
    assert image.grad.flatten().tolist() == [3, 1.5, -1]


@pytest.mark.parametrize("relu6", [nn.ReLU6, lambda: nn.ReLU6(inplace=True), lambda: Applied(F.relu6)])
def test_by_hand_relu6_lets_nothing_through_above_6(relu6: Callable[[], nn.Module]) -> None:
    assert guided(two_layers(relu6), 1, 2, 3) == [1, 1, 0]  # u4 = 8, so δ of u = (1, 0, 0, 0); v1 = 3 - 2 + 6/2 = 4


def silu(x: float) -> float:
    return x / (1 + math.exp(-x))


def silu_slope(x: float) -> float:
    s = 1 / (1 + math.exp(-x))
    return s * (1 + x * (1 - s))


@pytest.mark.parametrize("make", [nn.SiLU, lambda: nn.SiLU(inplace=True), lambda: Applied(F.silu)])
def test_by_hand_silu_lets_through_its_slope_where_it_rises(make: Callable[[], nn.Module]) -> None:
    network = two_layers(make)
    top = silu_slope(silu(3) - silu(2) + silu(8) / 2)
    one, four = top * silu_slope(3), top * silu_slope(8) / 2
    assert guided(network, 1, 2, 3) == pytest.approx([one, one + four, 2 * four], rel=1e-5)

    # x = (2, -5, 4): u = (-3, 2, 7, 3), and SiLU falls at -3
    assert silu_slope(-3) < 0
    four = silu_slope(silu(-3) - silu(2) + silu(3) / 2) * silu_slope(3) / 2
    assert guided(network, 2, -5, 4) == pytest.approx([0, four, 2 * four], rel=1e-5)


@pytest.mark.parametrize(
    "make", [nn.GELU, nn.Hardswish, nn.Mish, nn.ELU, nn.CELU, nn.SELU, nn.Softplus, nn.LeakyReLU, nn.PReLU, nn.RReLU]
)
def test_every_other_activation_lets_through_what_is_positive_of_gradient_and_slope(
    make: Callable[[], nn.Module],
) -> None:
    for x in (-3.1, -0.7, 0.9, 3.1):
        found = guided(two_layers(lambda: make().eval()), x, 0.3, 0.4)
        assert found == pytest.approx(_by_definition(make().eval(), x), abs=1e-5)


def _by_definition(activation: nn.Module, x: float) -> list[float]:
    """The rule layer by layer at (x, .3, .4), with slopes of finite differences in float64."""

    def value(at: float) -> float:
        return activation.double()(torch.tensor([at], dtype=torch.float64)).item()

    def rising(at: float) -> float:
        return max(0.0, (value(at + 1e-6) - value(at - 1e-6)) / 2e-6)

    u = [x + 0.3, 0.4 - x, x - 0.3, 1.1]
    h = [value(one) for one in u]
    top = rising(h[0] - h[1] + h[3] / 2)
    first, fourth = top * rising(u[0]), top * rising(u[3]) / 2
    return [first, first + fourth, 2 * fourth]


def reference(name: str) -> Network:
    """A reference network with activations that are not in place, as captum needs, and batch norms that act."""
    network = resolve_network(name, num_classes=3, input_px=32).build(seed=1).eval()
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, (nn.ReLU, nn.ReLU6)):
            module.inplace = False
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(module.bias, -0.5, 0.5, generator=generator)
    return network


IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
TARGETS = torch.tensor([2, 0])


@pytest.mark.filterwarnings("ignore:Setting backward hooks")
class TestAgainstCaptum:
    def test_it_equals_captums_where_that_knows_the_activation(self) -> None:
        network = reference("resnet18")
        theirs = GuidedBackprop(network).attribute(IMAGES.clone().requires_grad_(), TARGETS)
        scale = theirs.abs().max()
        torch.testing.assert_close(guided_gradient(network, IMAGES, TARGETS) / scale, theirs / scale, atol=1e-5, rtol=0)

    def test_captums_is_the_plain_gradient_of_relu6_and_ours_is_not(self) -> None:
        network = reference("mobilenet_v2")
        start = IMAGES.clone().requires_grad_()
        (plain,) = torch.autograd.grad(network(start).gather(1, TARGETS[:, None]).sum(), start)
        theirs = GuidedBackprop(network).attribute(IMAGES.clone().requires_grad_(), TARGETS)
        torch.testing.assert_close(theirs, plain)
        ours = guided_gradient(network, IMAGES, TARGETS)
        assert (ours - plain).abs().max() > 0.1 * plain.abs().max()


@pytest.mark.parametrize("maximum", [torch.maximum, torch.max, torch.fmax])
def test_by_hand_a_maximum_beside_a_relu_is_one_too(maximum: Callable[..., torch.Tensor]) -> None:
    first, second = torch.ones(2, requires_grad=True)
    guide(scores := 2 * first.relu() - maximum(second, torch.tensor(0.0)))
    assert [float(of) for of in torch.autograd.grad(scores, (first, second))] == [2, 0]


class Hidden(torch.autograd.Function):
    """A ReLU whose graph shows only this class."""

    @staticmethod
    def forward(ctx, maps):
        ctx.save_for_backward(maps)
        return maps.relu()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * (ctx.saved_tensors[0] > 0)


def relu_of_a_part(maps: torch.Tensor) -> torch.Tensor:
    maps[:, :1].relu_()
    return maps


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (torch.sigmoid, "no activation to guide was found"),
        (lambda maps: maps.clamp(min=-1), "no activation to guide was found"),
        (lambda maps: maps.clamp(min=torch.tensor(-1.0)), "no activation to guide was found"),
        (lambda maps: torch.maximum(maps, maps / 10), "no activation to guide was found"),
        (lambda maps: torch.maximum(maps, torch.tensor(-1.0)), "no activation to guide was found"),
        (Hidden.apply, "cannot see into HiddenBackward"),
        (relu_of_a_part, "cannot see into CopySlices"),
    ],
)
def test_it_refuses_to_give_the_plain_gradient(function: Callable[[torch.Tensor], torch.Tensor], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        guided(two_layers(lambda: Applied(function)), 1, 2, 3)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_it_refuses_a_fused_graph_of_torchscript() -> None:
    network = two_layers(nn.ReLU)
    network.stem[1] = torch.jit.script(nn.Sequential(nn.ReLU(), nn.SiLU()).eval())
    with pytest.raises(ConfigError, match="cannot see into torch::jit"):  # which is fused after its first runs
        [guided(network, 1, 2, 3) for _ in range(4)]


def test_images_that_cannot_have_a_gradient_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"torch.uint8.*pass float"):
        guided_gradient(two_layers(nn.ReLU), torch.zeros(1, 3, 1, 1, dtype=torch.uint8), torch.tensor([0]))


def test_guided_grad_cam_is_the_enlarged_map_times_the_largest_of_three_colours() -> None:
    network = reference("resnet18")
    coarse = to_image_size(GradCam(layer="blocks.1").maps(network, IMAGES, TARGETS), 32)
    colours = guided_gradient(network, IMAGES, TARGETS)
    maps = GuidedGradCam(layer="blocks.1").maps(network, IMAGES, TARGETS)
    by_hand = coarse * torch.stack([colours[:, 0].abs(), colours[:, 1].abs(), colours[:, 2].abs()]).max(dim=0).values
    assert maps.shape == (2, 32, 32)
    assert maps.min() >= 0
    torch.testing.assert_close(maps, by_hand)
