"""CB, the plain pair of convolutions of VGG."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import nn

from mindgap.space.block import BLOCKS, CHANNELS, KERNELS, AbstractBlock, middle_channels
from mindgap.space.layers import Cost, conv_cost, conv_unit, shrunk


@BLOCKS.register("cb")
class ConvolutionBlock(AbstractBlock):
    """K×K convolution to CH2, K×K to CH3, each with ReLU, no shortcut.

    Sheng et al. 2024, §3.2 ②, after Simonyan & Zisserman 2015. Without ``hidden_channels`` and ``expand``, CH2 = CH3.
    """

    searchable = True

    def choices(self) -> dict[str, tuple[Any, ...]]:
        """K, CH2, CH3."""
        return {"kernel": KERNELS, "hidden_channels": CHANNELS, "out_channels": CHANNELS}

    def build(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        *,
        kernel: int = 3,
        hidden_channels: int | None = None,
        expand: int | None = None,
        activation: str = "relu",
    ) -> nn.Module:
        """The block; the stride is in the first convolution."""
        middle = middle_channels(in_channels, hidden_channels=hidden_channels, expand=expand, otherwise=out_channels)
        return nn.Sequential(
            OrderedDict(
                first=conv_unit(in_channels, middle, kernel=kernel, stride=stride, act=activation),
                second=conv_unit(middle, out_channels, kernel=kernel, act=activation),
            )
        )

    def cost(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        px: int,
        *,
        kernel: int = 3,
        hidden_channels: int | None = None,
        expand: int | None = None,
        **_: Any,
    ) -> Cost:
        """Cost in closed form."""
        middle = middle_channels(in_channels, hidden_channels=hidden_channels, expand=expand, otherwise=out_channels)
        out_px = shrunk(px, stride)
        first = conv_cost(in_channels, middle, kernel=kernel, px=out_px)
        return first + conv_cost(middle, out_channels, kernel=kernel, px=out_px)
