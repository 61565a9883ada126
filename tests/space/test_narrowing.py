"""Another package's modules with fewer channels take the weights of a narrowed network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.space.narrowing import narrow, narrowed_shapes


def gated(*, width=6):
    """A depthwise convolution, norms with and without values of their own, and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, bias=True),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 3, groups=width),
        nn.BatchNorm2d(width, affine=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 2),
    )


@pytest.mark.parametrize("width", [1, 4])
def test_a_narrowed_module_is_that_of_the_smaller_width(width):
    module, small = gated(), gated(width=width).eval()
    assert narrowed_shapes(module, gated()) == {}
    shapes = narrowed_shapes(small, module)
    assert shapes["0.weight"] == (width, 3, 3, 3)
    assert "6.bias" not in shapes
    narrow(module, shapes, source="gated")
    assert [str(part) for part in module] == [str(part) for part in small]
    module.load_state_dict(small.state_dict())
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(module.eval()(images), small(images))


def test_it_keeps_the_first_channels_and_what_learns():
    module = gated()
    module[0].requires_grad_(requires_grad=False)
    first = module[0].weight[:4].clone()
    narrow(module, narrowed_shapes(gated(width=4), module), source="gated")
    assert torch.equal(module[0].weight, first)
    assert not module[0].weight.requires_grad
    assert module[2].weight.requires_grad
    assert "running_mean" in dict(module[1].named_buffers())


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"7.weight": (1,)}, r"timm:x: 7\.weight is missing there and cannot become \(1,\)"),
        ({"1.weight": (7,)}, r"1\.weight is \(6,\) there and cannot become \(7,\)"),
        ({"1.weight": (0,)}, r"cannot become \(0,\)"),
        ({"1.weight": (2, 2)}, r"cannot become \(2, 2\)"),
        ({"": (2,)}, "missing"),
    ],
)
def test_shapes_of_another_network_are_refused_in_one_line(shapes, message):
    with pytest.raises(ConfigError, match=message) as refused:
        narrow(gated(), shapes, source="timm:x")
    assert "\n" not in str(refused.value)
