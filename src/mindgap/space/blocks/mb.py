"""MB, the inverted residual of MobileNetV2."""

from __future__ import annotations

from mindgap.space.block import BLOCKS
from mindgap.space.conv_block import AbstractConvBlock, ConvChoice, Unit


@BLOCKS.register("mb")
class InvertedResidual(AbstractConvBlock):
    """1×1 convolution to CH2, K×K depthwise, linear 1×1 to CH3; shortcut where the shape stays.

    Sheng et al. 2024, §3.2 ②, after Sandler et al. 2018. ReLU6 unless ``activation`` says otherwise. Without
    ``hidden_channels`` and ``expand`` the first convolution is left out and CH2 = CH1 (MobileNetV2's first block).
    """

    searchable = True
    activation = "relu6"
    shortcut = "identity"

    def units(self, in_channels: int, out_channels: int, stride: int, choice: ConvChoice) -> dict[str, Unit]:
        """The three, or two; the stride is in the depthwise convolution."""
        middle = choice.middle(in_channels, otherwise=in_channels)
        expand = {"expand": Unit(in_channels, middle, act=choice.activation)} if choice.sets_middle else {}
        return {
            **expand,
            "depthwise": Unit(middle, middle, choice.kernel, stride, groups=middle, act=choice.activation),
            "project": Unit(middle, out_channels),
        }
