"""MnasNet."""

from __future__ import annotations

from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.network import NETWORKS

# kernel, expansion, channels, repeats, first stride: Tan et al. 2019, the B1 network (no squeeze-and-excitation)
STAGES = (
    (3, None, 16, 1, 1),
    (3, 3, 24, 3, 2),
    (5, 3, 40, 3, 2),
    (5, 6, 80, 3, 2),
    (3, 6, 96, 2, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)


@NETWORKS.register("mnasnet")
def mnasnet(*, num_classes: int, input_px: int) -> Architecture:
    """MnasNet-B1 of width 1 (Tan et al. 2019): 4,383,312 parameters at 1000 classes."""
    blocks = [
        BlockSpec(
            type="mb",
            out_channels=channels,
            stride=stride if repeat == 0 else 1,
            choices={"kernel": kernel, "activation": "relu"} | ({} if expand is None else {"expand": expand}),
        )
        for kernel, expand, channels, repeats, stride in STAGES
        for repeat in range(repeats)
    ]
    return Architecture(
        name="mnasnet",
        input_px=input_px,
        num_classes=num_classes,
        stem=Stem(channels=32, activation="relu"),
        blocks=tuple(blocks),
        head=Head(width=1280, activation="relu"),
        dropout=0.2,
    )
