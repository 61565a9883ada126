"""RB, the basic residual block of ResNet."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import nn

from mindgap.space.block import BLOCKS, CHANNELS, KERNELS, AbstractBlock, middle_channels
from mindgap.space.layers import Cost, Residual, conv_cost, conv_unit, projection, projection_cost, shrunk


@BLOCKS.register("rb")
class ResidualBlock(AbstractBlock):
    """K×K convolution to CH2, K×K to CH3, plus the input (by 1×1 where the shape changes), then ReLU.

    Sheng et al. 2024, §3.2 ②, after He et al. 2016. Without ``hidden_channels`` and ``expand``, CH2 = CH3.
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
        """The block; the stride is in the first convolution and in the projection."""
        middle = middle_channels(in_channels, hidden_channels=hidden_channels, expand=expand, otherwise=out_channels)
        body = nn.Sequential(
            OrderedDict(
                first=conv_unit(in_channels, middle, kernel=kernel, stride=stride, act=activation),
                second=conv_unit(middle, out_channels, kernel=kernel),
            )
        )
        shortcut = projection(in_channels, out_channels, stride=stride)
        return Residual(body, shortcut, act=activation, zero_start=True)

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
        total = conv_cost(in_channels, middle, kernel=kernel, px=out_px)
        total += conv_cost(middle, out_channels, kernel=kernel, px=out_px)
        return total + projection_cost(in_channels, out_channels, stride=stride, px=out_px)
