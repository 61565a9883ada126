"""RB, the basic residual block of ResNet."""

from __future__ import annotations

from mindgap.space.block import BLOCKS
from mindgap.space.conv_block import AbstractConvBlock, ConvChoice, Unit


@BLOCKS.register("rb")
class ResidualBlock(AbstractConvBlock):
    """K×K convolution to CH2, K×K to CH3, plus the input (by 1×1 where the shape changes), then ReLU.

    Sheng et al. 2024, §3.2 ②, after He et al. 2016. Without ``hidden_channels`` and ``expand``, CH2 = CH3.
    """

    searchable = True
    shortcut = "projection"

    def units(self, in_channels: int, out_channels: int, stride: int, choice: ConvChoice) -> dict[str, Unit]:
        """The two; the stride is in the first convolution and in the projection."""
        middle = choice.middle(in_channels, otherwise=out_channels)
        return {
            "first": Unit(in_channels, middle, choice.kernel, stride, act=choice.activation),
            "second": Unit(middle, out_channels, choice.kernel),
        }
