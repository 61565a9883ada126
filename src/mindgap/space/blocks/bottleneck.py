"""The bottleneck block of ResNet-50."""

from __future__ import annotations

from mindgap.space.block import BLOCKS
from mindgap.space.conv_block import AbstractConvBlock, ConvChoice, Unit

REDUCTION = 4


@BLOCKS.register("bottleneck")
class Bottleneck(AbstractConvBlock):
    """1×1 convolution to CH2, K×K at the block's stride, 1×1 to CH3, plus the (projected) input, then ReLU.

    He et al. 2016, with the stride in the K×K convolution ("v1.5") as torchvision and timm have it. Without
    ``hidden_channels`` and ``expand``, CH2 = CH3 / 4. Not searched unless a space names it.
    """

    shortcut = "projection"

    def units(self, in_channels: int, out_channels: int, stride: int, choice: ConvChoice) -> dict[str, Unit]:
        """The three."""
        middle = choice.middle(in_channels, otherwise=out_channels // REDUCTION)
        return {
            "reduce": Unit(in_channels, middle, act=choice.activation),
            "spatial": Unit(middle, middle, choice.kernel, stride, act=choice.activation),
            "restore": Unit(middle, out_channels),
        }
