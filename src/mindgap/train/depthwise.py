"""Depthwise convolution whose gradients stay on oneDNN's fast kernels.

oneDNN's depthwise weight-gradient kernel takes kernels at most 3 wide, of any height; wider ones fall to code that is
10 to 25 times slower in bfloat16 and 5 times in float32. Its bfloat16 data gradient at stride 2 falls likewise. Here

* a K×K weight gradient is put together from K×3 windows of columns. A window is the same padded memory read from a few
  elements further on, so no window is copied, and batches go through in pieces that stay in the cache. The windows are
  float32, for which this kernel takes half to all of the time it takes in bfloat16;
* the bfloat16 data gradient at stride 2 is computed in float32.

Same sums in another order: results differ from the stock ones by rounding. Whether it pays is measured per block
(``precision.py``).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

_WINDOW = 3
_PIECE_BYTES, _ITEM_BYTES = 8 * 2**20, 4
_backward = torch.ops.aten.convolution_backward.default


def is_depthwise(module: nn.Module) -> bool:
    """Whether the mend applies: a square depthwise convolution, one filter per channel, undilated, without bias."""
    return (
        isinstance(module, nn.Conv2d)
        and module.groups == module.in_channels == module.out_channels > 1
        and module.kernel_size[0] == module.kernel_size[1] >= _WINDOW
        and module.stride[0] == module.stride[1]
        and module.padding == (module.kernel_size[0] // 2,) * 2
        and module.dilation == (1, 1)
        and module.padding_mode == "zeros"
        and module.bias is None
    )


def mended_depthwise(convolution: nn.Conv2d, images: Tensor) -> Tensor:
    """The convolution's output, (B, C, H', W'), with mended gradients; in autocast's dtype where that is on."""
    weight, kind = convolution.weight, images.device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        images, weight = images.to(dtype), weight.to(dtype)
    return _MendedDepthwise.apply(images, weight, convolution.stride[0])


class _MendedDepthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride = stride
        return F.conv2d(images, weight, None, stride, weight.shape[-1] // 2, 1, images.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (images, weight), stride = ctx.saved_tensors, ctx.stride
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        to_images = data_gradient(gradient, images, weight, stride=stride) if ctx.needs_input_grad[0] else None
        to_weight = None
        if ctx.needs_input_grad[1]:
            to_weight = weight_gradient(gradient, images, kernel=weight.shape[-1], stride=stride).to(weight.dtype)
        return to_images, to_weight, None


def data_gradient(gradient: Tensor, images: Tensor, weight: Tensor, *, stride: int) -> Tensor:
    """Gradient of a depthwise convolution with respect to its input, (B, C, H, W)."""
    if stride == 1 or gradient.dtype != torch.bfloat16:
        return _stock(gradient, images, weight, stride=stride, padding=weight.shape[-1] // 2, of="images")
    like = torch.empty_like(images, dtype=torch.float32)
    wide = _stock(gradient.float(), like, weight.float(), stride=stride, padding=weight.shape[-1] // 2, of="images")
    return wide.to(torch.bfloat16)


def weight_gradient(gradient: Tensor, images: Tensor, *, kernel: int, stride: int) -> Tensor:
    """Gradient of a depthwise convolution, padded by K//2, with respect to its weight.

    Args:
        gradient: (B, C, H', W') of the output.
        images: (B, C, H, W), the input.
        kernel: K, odd, at least 3.
        stride: 1 or more.

    Returns:
        float32 (C, 1, K, K).
    """
    batch, channels, height, width = images.shape
    out_height, out_width = gradient.shape[2:]
    padding = kernel // 2
    tall, wide = stride * (out_height - 1) + kernel, stride * (out_width - 1) + kernel
    rows, cols = min(height, tall - padding), min(width, wide - padding)
    # Padded on the left only: what lies right of a row is the next row's left, and fewer columns are computed in vain.
    pitch = max(padding + cols, stride * (out_width - 1) + _WINDOW)
    piece = max(1, min(batch, _PIECE_BYTES // (_ITEM_BYTES * tall * pitch * channels)))
    # The last windows read a little past the last row: kernel·channels more zeros.
    memory = images.new_empty(piece * tall * pitch * channels + kernel * channels, dtype=torch.float32)
    strides = (tall * pitch * channels, 1, pitch * channels, channels)
    padded = memory.as_strided((piece, channels, tall, pitch), strides)
    # Columns that no window should count have gradient 0.
    columns = (pitch - _WINDOW) // stride + 1
    spread = memory.new_empty((piece, out_height, columns, channels)).permute(0, 3, 1, 2)
    above, below = padded[:, :, :padding], padded[:, :, padding + rows :]
    left, right = padded[..., :padding], padded[..., padding + cols :]
    for zeros in (above, below, left, right, memory[-kernel * channels :], spread[..., out_width:]):
        zeros.zero_()
    filters = memory.new_empty((channels, 1, kernel, _WINDOW))
    total = memory.new_zeros((channels, 1, kernel, kernel))
    for begin in range(0, batch, piece):
        count = min(piece, batch - begin)
        padded[:count, :, padding : padding + rows, padding : padding + cols] = images[
            begin : begin + count, :, :rows, :cols
        ]
        spread[:count, :, :, :out_width] = gradient[begin : begin + count]
        for first, new in _windows(kernel):
            window = memory.as_strided((count, channels, tall, pitch), strides, first * channels)
            part = _stock(spread[:count], window, filters, stride=stride, padding=0, of="weight")
            total[..., first + new : first + _WINDOW] += part[..., new:]
    return total


def _windows(kernel: int) -> list[tuple[int, int]]:
    """First column of every window that covers a kernel, and how many of its columns an earlier window has."""
    starts = [*range(0, kernel - _WINDOW + 1, _WINDOW)]
    windows = [(start, 0) for start in starts]
    covered = starts[-1] + _WINDOW
    if covered < kernel:
        windows.append((kernel - _WINDOW, covered - kernel + _WINDOW))
    return windows


def _stock(gradient: Tensor, images: Tensor, weight: Tensor, *, stride: int, padding: int, of: str) -> Tensor:
    wanted = [of == "images", of == "weight", False]
    arguments = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], images.shape[1], wanted)
    return _backward(gradient, images, weight, None, *arguments)[0 if of == "images" else 1]
