"""The bottleneck block of ResNet-50."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import nn

from mindgap.space.block import BLOCKS, CHANNELS, KERNELS, AbstractBlock, middle_channels
from mindgap.space.layers import Cost, Residual, conv_cost, conv_unit, projection, projection_cost, shrunk

REDUCTION = 4


@BLOCKS.register("bottleneck")
class Bottleneck(AbstractBlock):
    """1×1 convolution to CH2, K×K at the block's stride, 1×1 to CH3, plus the (projected) input, then ReLU.

    He et al. 2016, with the stride in the K×K convolution ("v1.5") as torchvision and timm have it. Without
    ``hidden_channels`` and ``expand``, CH2 = CH3 / 4. Not searched unless a space names it.
    """

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
        """The block."""
        middle = middle_channels(
            in_channels, hidden_channels=hidden_channels, expand=expand, otherwise=out_channels // REDUCTION
        )
        body = nn.Sequential(
            OrderedDict(
                reduce=conv_unit(in_channels, middle, kernel=1, act=activation),
                spatial=conv_unit(middle, middle, kernel=kernel, stride=stride, act=activation),
                restore=conv_unit(middle, out_channels, kernel=1),
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
        middle = middle_channels(
            in_channels, hidden_channels=hidden_channels, expand=expand, otherwise=out_channels // REDUCTION
        )
        out_px = shrunk(px, stride)
        total = conv_cost(in_channels, middle, kernel=1, px=px)
        total += conv_cost(middle, middle, kernel=kernel, px=out_px)
        total += conv_cost(middle, out_channels, kernel=1, px=out_px)
        return total + projection_cost(in_channels, out_channels, stride=stride, px=out_px)
