"""Twins of images whose skin is of another tone while every other pixel is the original's (Wei & Chakraborti, §2.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from mindgap.core.errors import ShapeError
from mindgap.tone.lab import bytes_of, lab_of, rgb_of
from mindgap.tone.shift import Shift

EDGE_SHARE = 0.02  # width of the softened edge, of the image's
LEAST_EDGE_PX = 2


def edge_width_px(size_px: int) -> int:
    """Width of the edge around a lesion in which the new skin is softened: 2 % of the image, at least 2 pixels."""
    return max(LEAST_EDGE_PX, round(EDGE_SHARE * size_px))


def shift_skin(images: Tensor, *, lesions: Tensor, others: Tensor, shift: Shift) -> Tensor:
    """Moves the skin by ΔL* and Δb*, and softens it where it meets the lesion.

    Around each lesion, in ``edge_width_px``, L* and b* of the shifted image are blurred by a Gaussian of half that
    width (eqs 7 to 12). Pixels of lesion, hair, ruler and frame are the source's bytes, and so are images without a
    shift.

    Args:
        images: uint8 (N, 3, H, W).
        lesions: bool (N, H, W).
        others: bool (N, H, W), what else is no skin.
        shift: of N images.

    Returns:
        uint8 (N, 3, H, W).

    Raises:
        ShapeError: masks, shift and images do not fit together.
    """
    n, _, height, width = images.shape
    if lesions.shape != (n, height, width) or others.shape != lesions.shape or len(shift.lightness) != n:
        raise ShapeError(
            f"{n} images of {height}×{width}: masks are {tuple(lesions.shape)} and {tuple(others.shape)}, "
            f"shifts are {len(shift.lightness)}"
        )
    moved = torch.as_tensor(shift.possible, device=images.device)
    skin = ~(lesions | others) & moved[:, None, None]
    by = torch.stack(
        [_of(shift.lightness, images), torch.zeros(n, device=images.device), _of(shift.yellowness, images)]
    )
    lab = lab_of(images) + by.T[:, :, None, None] * skin[:, None]
    edge = dilated(lesions, edge_width_px(width)) & skin
    lab[:, [0, 2]] = torch.where(edge[:, None], blurred(lab[:, [0, 2]], sigma=edge_width_px(width) / 2), lab[:, [0, 2]])
    return torch.where(skin[:, None], bytes_of(rgb_of(lab)), images)


def dilated(masks: Tensor, radius_px: int) -> Tensor:
    """Masks grown by a square of so many pixels to every side, bool (N, H, W)."""
    grown = masks[:, None].to(torch.float32)
    for kernel in ((2 * radius_px + 1, 1), (1, 2 * radius_px + 1)):
        grown = functional.max_pool2d(grown, kernel, stride=1, padding=(kernel[0] // 2, kernel[1] // 2))
    return grown[:, 0] > 0


def blurred(maps: Tensor, *, sigma: float) -> Tensor:
    """Gaussian blur of (N, C, H, W), of radius ⌈3σ⌉; the border is continued outwards."""
    radius = math.ceil(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=maps.dtype, device=maps.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(maps.shape[1], 1, 1, -1)
    padded = functional.pad(maps, (radius,) * 4, mode="replicate")
    along = functional.conv2d(padded, kernel, groups=maps.shape[1])
    return functional.conv2d(along, kernel.transpose(2, 3), groups=maps.shape[1])


def _of(values: object, like: Tensor) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32, device=like.device)
