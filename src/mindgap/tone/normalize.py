"""Twins of images whose skin is of another tone while every other pixel is the original's (Wei & Chakraborti, §2.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from mindgap.core.errors import ShapeError
from mindgap.tone.lab import bytes_of_lab, lab_of
from mindgap.tone.shift import Shift
from mindgap.tone.windows import blurred, dilated

EDGE_SHARE = 0.02  # width of the softened edge, of the image's
LEAST_EDGE_PX = 2


def edge_width_px(size_px: int) -> int:
    """Width of the edge around a lesion in which the new skin is softened: 2 % of the image, at least 2 pixels."""
    return max(LEAST_EDGE_PX, round(EDGE_SHARE * size_px))


def shift_skin(
    images: Tensor,
    *,
    lesions: Tensor,
    others: Tensor,
    shift: Shift,
    lab: Tensor | None = None,
    gains: Tensor | None = None,
) -> Tensor:
    """Moves the skin by ΔL* and Δb*, and softens it where it meets the lesion.

    Around each lesion, in ``edge_width_px``, L* and b* of the shifted image are blurred by a Gaussian of half that
    width (eqs 7 to 12). Pixels of lesion, hair, ruler and frame are the source's bytes, and so are images without a
    shift.

    Args:
        images: uint8 (N, 3, H, W).
        lesions: bool (N, H, W).
        others: bool (N, H, W), what else is no skin.
        shift: of N images.
        lab: float32 (N, 3, H, W), the images' CIELAB where it is known already.
        gains: (N, 3), of the light's correction in which the shift is meant; the twin is under the image's own light.

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
    lab = lab_of(images, gains=gains) if lab is None else lab.clone()
    edge = dilated(lesions, edge_width_px(width)) & skin
    for channel, step in ((0, shift.lightness), (2, shift.yellowness)):
        by = torch.as_tensor(step, dtype=lab.dtype, device=lab.device)[:, None, None]
        moved_map = torch.where(skin, lab[:, channel] + by, lab[:, channel])
        soft = blurred(moved_map[:, None], sigma=edge_width_px(width) / 2)[:, 0]
        lab[:, channel] = torch.where(edge, soft, moved_map)
    return torch.where(skin[:, None], bytes_of_lab(lab, gains=gains), images)
