"""The bottleneck block of ResNet-50."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mindgap.space.block import BLOCKS, middle_channels
from mindgap.space.conv_block import AbstractConvBlock, ConvChoice, Unit

REDUCTION = 4


@dataclass(frozen=True)
class BottleneckChoice(ConvChoice):
    """The choices of a chain, and the K×K convolution's output channels where they are not CH2."""

    spatial_channels: int | None = None


@BLOCKS.register("bottleneck")
class Bottleneck(AbstractConvBlock):
    """1×1 convolution to CH2, K×K at the block's stride, 1×1 to CH3, plus the (projected) input, then ReLU.

    He et al. 2016, with the stride in the K×K convolution ("v1.5") as torchvision and timm have it. Without
    ``hidden_channels`` and ``expand``, CH2 = CH3 / 4. Not searched unless a space names it.
    """

    choice_model = BottleneckChoice
    shortcut = "projection"

    def units(self, in_channels: int, out_channels: int, stride: int, choice: BottleneckChoice) -> dict[str, Unit]:
        """The three.

        Raises:
            ConfigError: one would have no channel.
        """
        middle = choice.middle(in_channels, otherwise=out_channels // REDUCTION)
        spatial = middle_channels(in_channels, hidden_channels=choice.spatial_channels, expand=None, otherwise=middle)
        return {
            "reduce": Unit(in_channels, middle, act=choice.activation),
            "spatial": Unit(middle, spatial, choice.kernel, stride, act=choice.activation),
            "restore": Unit(spatial, out_channels),
        }

    def said_widths(self, widths: Sequence[int]) -> dict[str, Any]:
        """CH2, and the K×K convolution's where it is another."""
        reduced, spatial, _ = widths
        return {"hidden_channels": reduced, "spatial_channels": None if spatial == reduced else spatial}
