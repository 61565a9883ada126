"""DB, the downsampling inverted residual."""

from __future__ import annotations

from mindgap.space.block import BLOCKS
from mindgap.space.blocks.mb import InvertedResidual


@BLOCKS.register("db")
class DownsamplingBlock(InvertedResidual):
    """MB with stride 2 and no shortcut: halves the map.

    Sheng et al. 2024, §3.2 ②.
    """

    search_stride = 2
    shortcut = "none"
