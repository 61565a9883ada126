"""MB, the inverted residual of MobileNetV2."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, ClassVar

from torch import nn

from mindgap.space.block import BLOCKS, CHANNELS, KERNELS, AbstractBlock, middle_channels
from mindgap.space.layers import Cost, Residual, conv_cost, conv_unit, shrunk


@BLOCKS.register("mb")
class InvertedResidual(AbstractBlock):
    """1×1 convolution to CH2, K×K depthwise, linear 1×1 to CH3; shortcut where the shape stays.

    Sheng et al. 2024, §3.2 ②, after Sandler et al. 2018. ReLU6 unless ``activation`` says otherwise. Without
    ``hidden_channels`` and ``expand`` the first convolution is left out and CH2 = CH1 (MobileNetV2's first block).
    """

    searchable = True
    may_add_input: ClassVar[bool] = True

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
        activation: str = "relu6",
    ) -> nn.Module:
        """The block; the stride is in the depthwise convolution."""
        middle = middle_channels(in_channels, hidden_channels=hidden_channels, expand=expand, otherwise=in_channels)
        units = OrderedDict[str, nn.Module]()
        if hidden_channels is not None or expand:
            units["expand"] = conv_unit(in_channels, middle, kernel=1, act=activation)
        units["depthwise"] = conv_unit(middle, middle, kernel=kernel, stride=stride, groups=middle, act=activation)
        units["project"] = conv_unit(middle, out_channels, kernel=1)
        body = nn.Sequential(units)
        if not self.may_add_input or stride != 1 or in_channels != out_channels:
            return body
        return Residual(body, nn.Identity(), act=None, zero_start=False)

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
        middle = middle_channels(in_channels, hidden_channels=hidden_channels, expand=expand, otherwise=in_channels)
        out_px = shrunk(px, stride)
        total = conv_cost(middle, middle, kernel=kernel, px=out_px, groups=middle)
        total += conv_cost(middle, out_channels, kernel=1, px=out_px)
        if hidden_channels is not None or expand:
            total += conv_cost(in_channels, middle, kernel=1, px=px)
        return total
