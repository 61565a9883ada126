"""The ResNets."""

from __future__ import annotations

from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.network import NETWORKS

STAGE_CHANNELS = (64, 128, 256, 512)
BOTTLENECK_EXPANSION = 4


@NETWORKS.register("resnet18")
def resnet18(*, num_classes: int, input_px: int) -> Architecture:
    """ResNet-18 (He et al. 2016): 11,689,512 parameters at 1000 classes."""
    return _resnet("resnet18", "rb", (2, 2, 2, 2), num_classes=num_classes, input_px=input_px)


@NETWORKS.register("resnet34")
def resnet34(*, num_classes: int, input_px: int) -> Architecture:
    """ResNet-34 (He et al. 2016): 21,797,672 parameters at 1000 classes."""
    return _resnet("resnet34", "rb", (3, 4, 6, 3), num_classes=num_classes, input_px=input_px)


@NETWORKS.register("resnet50")
def resnet50(*, num_classes: int, input_px: int) -> Architecture:
    """ResNet-50 (He et al. 2016, stride in the 3×3 convolution): 25,557,032 parameters at 1000 classes."""
    return _resnet("resnet50", "bottleneck", (3, 4, 6, 3), num_classes=num_classes, input_px=input_px)


def _resnet(name: str, block: str, repeats: tuple[int, ...], *, num_classes: int, input_px: int) -> Architecture:
    widening = BOTTLENECK_EXPANSION if block == "bottleneck" else 1
    blocks = [
        BlockSpec(
            type=block,
            out_channels=channels * widening,
            stride=2 if stage > 0 and repeat == 0 else 1,
            choices={"kernel": 3},
        )
        for stage, channels in enumerate(STAGE_CHANNELS)
        for repeat in range(repeats[stage])
    ]
    return Architecture(
        name=name,
        input_px=input_px,
        num_classes=num_classes,
        stem=Stem(kind="7x7+pool", channels=64, activation="relu"),
        blocks=tuple(blocks),
        head=Head(width=None),
    )
