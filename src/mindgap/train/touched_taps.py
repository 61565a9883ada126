"""Convolutions on maps so small that some of a kernel's taps see nothing but padding.

A 7×7 kernel on a map of 2×2 has 3×3 taps that meet a pixel. In bfloat16 oneDNN (torch 2.13, AVX-512) leaves the weight
gradient of other taps as it found the memory: mostly a small number, now and then NaN, and the training is lost. So
such a convolution is computed by the taps that meet a pixel; the gradient of the others is 0, as in float32.
"""

from __future__ import annotations

from typing import NamedTuple, TypeGuard

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class Taps(NamedTuple):
    """The taps from ``first`` to before ``end`` of a kernel's side, and the padding that they need."""

    first: int
    end: int
    padding: int


def touched(size: int, *, kernel: int, stride: int, padding: int) -> Taps:
    """Which taps of a kernel's side meet a pixel of a map's side; all of them where fewer would not do.

    Args:
        size: of the map's side, at least 1.
        kernel: of the kernel's side.
        stride: 1 or more.
        padding: at most half of the kernel.

    Example:
        >>> touched(2, kernel=7, stride=1, padding=3), touched(8, kernel=7, stride=1, padding=3)
        (Taps(first=2, end=5, padding=1), Taps(first=0, end=7, padding=3))
    """
    outputs = (size + 2 * padding - kernel) // stride + 1
    first, end = max(0, padding - (outputs - 1) * stride), min(kernel, padding + size)
    left = padding - first
    same = (size + 2 * left - (end - first)) // stride + 1 == outputs
    return Taps(first, end, left) if same else Taps(0, kernel, padding)


def is_croppable(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether taps of a module can be left out: a plain convolution that is padded with zeros by half its kernel."""
    if type(module) is not nn.Conv2d or isinstance(module.padding, str):
        return False
    usual = module.dilation == (1, 1) and module.padding_mode == "zeros"
    halves = all(2 * pad < side for pad, side in zip(module.padding, module.kernel_size, strict=True))
    return usual and halves and max(module.kernel_size) > 1


def cropped_convolution(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    """The convolution's output, (B, C, H', W'), by the taps that meet a pixel.

    Args:
        convolution: croppable.
        images: (B, C, H, W); on another device than a CPU the convolution is computed as it is.
    """
    sides = [
        touched(size, kernel=kernel, stride=stride, padding=padding)
        for size, kernel, stride, padding in zip(
            images.shape[2:], convolution.kernel_size, convolution.stride, _padding(convolution), strict=True
        )
    ]
    whole = all(taps.end - taps.first == side for taps, side in zip(sides, convolution.kernel_size, strict=True))
    if whole or images.device.type != "cpu":
        return nn.Conv2d.forward(convolution, images)
    rows, columns = sides
    weight = convolution.weight[:, :, rows.first : rows.end, columns.first : columns.end]
    return F.conv2d(
        images, weight, convolution.bias, convolution.stride, (rows.padding, columns.padding), 1, convolution.groups
    )


def _padding(convolution: nn.Conv2d) -> tuple[int, int]:
    height, width = (int(pad) for pad in convolution.padding)
    return height, width
