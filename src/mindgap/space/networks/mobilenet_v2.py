"""MobileNetV2."""

from __future__ import annotations

from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.network import NETWORKS

# expansion, channels, repeats, first stride: Sandler et al. 2018, Table 2
STAGES = ((None, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


@NETWORKS.register("mobilenet_v2")
def mobilenet_v2(*, num_classes: int, input_px: int) -> Architecture:
    """MobileNetV2 of width 1 (Sandler et al. 2018): 3,504,872 parameters at 1000 classes."""
    blocks = [
        BlockSpec(
            type="mb",
            out_channels=channels,
            stride=stride if repeat == 0 else 1,
            choices={"kernel": 3} if expand is None else {"kernel": 3, "expand": expand},
        )
        for expand, channels, repeats, stride in STAGES
        for repeat in range(repeats)
    ]
    return Architecture(
        name="mobilenet_v2",
        input_px=input_px,
        num_classes=num_classes,
        stem=Stem(channels=32),
        blocks=tuple(blocks),
        head=Head(width=1280),
        dropout=0.2,
    )
