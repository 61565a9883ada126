"""Twins of images whose skin is of another tone while every other pixel is the original's (Wei & Chakraborti, §2.2)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mindgap.core.errors import ShapeError
from mindgap.tone.lab import bytes_of_lab, lab_of
from mindgap.tone.quantiles import masked_quantiles
from mindgap.tone.shift import Shift
from mindgap.tone.windows import blurred, dilated

EDGE_SHARE = 0.02  # width of the softened edge, of the image's
LEAST_EDGE_PX = 2
RIM_SHARE = 0.1  # of the image's width, from the lesion's border inwards, in which a matte looks for skin
LEAST_CONTRAST = 8.0  # ΔE; a lesion that differs less from its skin is taken to differ so much
Edge = Literal["blur", "matte"]


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
    edge: Edge = "blur",
) -> Tensor:
    """Moves the skin by ΔL* and Δb*, and softens it where it meets the lesion.

    Around each lesion, in ``edge_width_px``, L* and b* of the shifted image are blurred by a Gaussian of half that
    width (eqs 7 to 12). Pixels of lesion, hair, ruler and frame are the source's bytes, and so are images without a
    shift.

    At the border of a mask half of the shift is there at once, which shows as a seam where the mask is larger than its
    lesion. A ``matte`` moves the mask's rim too, as far as its colour is that of skin; the lesion's core, over 10 % of
    the width from the border, is the source's bytes.

    Args:
        images: uint8 (N, 3, H, W).
        lesions: bool (N, H, W).
        others: bool (N, H, W), what else is no skin.
        shift: of N images.
        lab: float32 (N, 3, H, W), the images' CIELAB where it is known already.
        gains: (N, 3), of the light's correction in which the shift is meant; the twin is under the image's own light.
        edge: ``blur``, as published, or ``matte``.

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
    if edge == "matte":
        share = _skin_share(lab, lesions, skin) * moved[:, None, None]
        for channel, step in ((0, shift.lightness), (2, shift.yellowness)):
            lab[:, channel] += share * torch.as_tensor(step, dtype=lab.dtype, device=lab.device)[:, None, None]
        return torch.where((share > 0)[:, None], bytes_of_lab(lab, gains=gains), images)
    near = dilated(lesions, edge_width_px(width)) & skin
    for channel, step in ((0, shift.lightness), (2, shift.yellowness)):
        by = torch.as_tensor(step, dtype=lab.dtype, device=lab.device)[:, None, None]
        moved_map = torch.where(skin, lab[:, channel] + by, lab[:, channel])
        soft = blurred(moved_map[:, None], sigma=edge_width_px(width) / 2)[:, 0]
        lab[:, channel] = torch.where(near, soft, moved_map)
    return torch.where(skin[:, None], bytes_of_lab(lab, gains=gains), images)


def _skin_share(lab: Tensor, lesions: Tensor, skin: Tensor) -> Tensor:
    """float32 (N, H, W): 1 on skin, 0 in the lesion's core, and between in the rim of a mask, by colour.

    In the rim a pixel is skin as far as its colour is nearer to the skin's median than the lesion's median is.
    """
    reach = max(LEAST_EDGE_PX, round(RIM_SHARE * lab.shape[-1]))
    middle = [masked_quantiles(lab[:, channel], skin, [0.5])[:, 0] for channel in range(3)]
    colour = torch.stack([torch.as_tensor(each, dtype=lab.dtype, device=lab.device) for each in middle], dim=1)
    distance = (blurred(lab, sigma=1.0) - colour[:, :, None, None]).square().sum(dim=1).sqrt()
    whole = torch.as_tensor(masked_quantiles(distance, lesions, [0.5])[:, 0], dtype=lab.dtype, device=lab.device)
    like_skin = (1.5 - 1.5 * distance / whole.clamp_min(LEAST_CONTRAST)[:, None, None]).clamp(0, 1).nan_to_num(0.0)
    grown, depth = ~lesions, torch.zeros_like(distance)
    for _ in range(reach):
        grown = dilated(grown, 1)
        depth += grown
    rim = (depth / reach).sqrt()  # 1 at the border, 0 where the core begins
    share = torch.where(lesions, like_skin * rim, 1.0)
    soft = blurred(share[:, None], sigma=edge_width_px(lab.shape[-1]) / 2)[:, 0]
    return torch.where(lesions, soft * (rim > 0), soft * skin)
