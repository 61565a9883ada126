"""P3: the mended weight gradient of 5×5 and 7×7 depthwise convolutions against stock bfloat16; target 10×.

python benchmarks/depthwise_gradient.py [--rounds 5] [--batch 64]
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from rounds import arguments, clock, our_allocator, ratio, show, start, take_turns

from mindgap.train.depthwise import weight_gradient

SHAPES = ((96, 64), (48, 32), (96, 32), (192, 16), (96, 8))  # channels, px
TARGET = 10.0


def stock(gradient: torch.Tensor, images: torch.Tensor, *, kernel: int, stride: int) -> torch.Tensor:
    """Torch's own gradient."""
    channels = images.shape[1]
    weight = torch.empty(channels, 1, kernel, kernel, dtype=images.dtype)
    geometry = ([stride] * 2, [kernel // 2] * 2, [1, 1], False, [0, 0], channels, [False, True, False])
    return torch.ops.aten.convolution_backward.default(gradient, images, weight, None, *geometry)[1]


def contestants(
    kernel: int, stride: int, *, channels: int, px: int, batch: int, now: Callable[[], float]
) -> dict[str, Callable[[], float]]:
    """Milliseconds of both ways on the same tensors."""
    images = torch.randn(batch, channels, px, px).bfloat16().contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, 1, kernel, kernel).bfloat16()
    gradient = torch.randn_like(torch.conv2d(images, weight, None, stride, kernel // 2, 1, channels))

    def milliseconds(way: Callable[..., torch.Tensor]) -> float:
        begin = now()
        way(gradient, images, kernel=kernel, stride=stride)
        return 1000 * (now() - begin)

    return {"stock": lambda: milliseconds(stock), "mended": lambda: milliseconds(weight_gradient)}


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--batch", type=int, default=64, help="images per batch")
    options = parser.parse_args()
    start(options.threads)
    our_allocator()
    ratios: list[float] = []
    for channels, px in SHAPES:
        for kernel in (5, 7):
            for stride in (1, 2):
                pair = contestants(
                    kernel, stride, channels=channels, px=px, batch=options.batch, now=clock(options.clock)
                )
                figures = take_turns(pair, rounds=options.rounds)
                ratios.append(ratio(figures["stock"], figures["mended"]))
                show(f"k{kernel}, stride {stride}, {channels} channels, {px} px: {ratios[-1]:.1f}×", figures, unit="ms")
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    print(f"P3: geometric mean {mean:.1f}, smallest {min(ratios):.1f}, largest {max(ratios):.1f} (target {TARGET:g})")


if __name__ == "__main__":
    main()
