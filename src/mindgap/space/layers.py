"""The units every block is made of, and what they cost."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn

from mindgap.core.errors import ConfigError, near_names

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6}


@dataclass(frozen=True)
class Cost:
    """What one image costs.

    Attributes:
        params: number of trained values (weights, biases, batch-norm scales and shifts).
        macs: multiply-adds of convolutions and linear layers for one image; batch norm and activations count 0.
    """

    params: int = 0
    macs: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.params + other.params, self.macs + other.macs)


def activation(name: str) -> nn.Module:
    """A new activation module.

    Raises:
        ConfigError: the name is not ``relu`` or ``relu6``.
    """
    if name not in ACTIVATIONS:
        raise ConfigError(f"no activation {name!r}; {near_names(name, ACTIVATIONS)}")
    return ACTIVATIONS[name](inplace=True)


def conv_unit(
    in_channels: int, out_channels: int, *, kernel: int, stride: int = 1, groups: int = 1, act: str | None = None
) -> nn.Sequential:
    """Convolution without bias, batch norm, and the activation if one is named, as ``conv``, ``norm``, ``act``.

    The map keeps its size at stride 1 and becomes ``ceil(size / stride)`` otherwise.

    Raises:
        ConfigError: the kernel is not an odd positive number.
    """
    if kernel < 1 or kernel % 2 == 0:
        raise ConfigError(f"kernel is {kernel}; use an odd number of pixels such as 3, 5 or 7")
    parts = OrderedDict[str, nn.Module](
        conv=nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        norm=nn.BatchNorm2d(out_channels),
    )
    if act is not None:
        parts["act"] = activation(act)
    return nn.Sequential(parts)


def conv_cost(in_channels: int, out_channels: int, *, kernel: int, px: int, groups: int = 1) -> Cost:
    """Cost of one ``conv_unit`` whose OUTPUT map is px × px.

    Example:
        A 3×3 convolution of 2 to 4 channels at 8×8 has 72 weights and 8 batch-norm values, and 72·64 = 4608 MACs.
        >>> conv_cost(2, 4, kernel=3, px=8)
        Cost(params=80, macs=4608)
    """
    weights = kernel * kernel * (in_channels // groups) * out_channels
    return Cost(weights + 2 * out_channels, weights * px * px)


def shrunk(px: int, stride: int) -> int:
    """Side of the map after a ``conv_unit`` of that stride: ``ceil(px / stride)``."""
    return -(-px // stride)


class Residual(nn.Module):
    """Adds the block's input, projected where the shape changes, and activates the sum: act(body(x) + shortcut(x)).

    The last batch norm of the body starts at scale 0, so that the block begins as its shortcut (the reference ResNets'
    ``zero_init_last``).
    """

    def __init__(self, body: nn.Sequential, shortcut: nn.Module, *, act: str | None, zero_start: bool) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut
        self.act = activation(act) if act is not None else nn.Identity()
        self._zero_start = zero_start

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C1, H, W) to (B, C3, ceil(H/stride), ceil(W/stride))."""
        return self.act(self.body(images) + self.shortcut(images))

    def after_initialisation(self) -> None:
        """Sets the last batch norm's scale to 0 where the block asks for it."""
        norms = [module for module in self.body.modules() if isinstance(module, nn.BatchNorm2d)]
        if self._zero_start and norms:
            nn.init.zeros_(norms[-1].weight)
