"""CB, the plain pair of convolutions of VGG."""

from __future__ import annotations

from mindgap.space.block import BLOCKS
from mindgap.space.conv_block import AbstractConvBlock, ConvChoice, Unit


@BLOCKS.register("cb")
class ConvolutionBlock(AbstractConvBlock):
    """K×K convolution to CH2, K×K to CH3, each with ReLU, no shortcut.

    Sheng et al. 2024, §3.2 ②, after Simonyan & Zisserman 2015. Without ``hidden_channels`` and ``expand``, CH2 = CH3.
    """

    searchable = True

    def units(self, in_channels: int, out_channels: int, stride: int, choice: ConvChoice) -> dict[str, Unit]:
        """The two; the stride is in the first convolution."""
        middle = choice.middle(in_channels, otherwise=out_channels)
        return {
            "first": Unit(in_channels, middle, choice.kernel, stride, act=choice.activation),
            "second": Unit(middle, out_channels, choice.kernel, act=choice.activation),
        }
