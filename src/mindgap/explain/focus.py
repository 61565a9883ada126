"""Focus: how much of what a map holds lies outside the lesion, against chance.

Of a map clipped at 0 and brought to the image's size, m, and a lesion mask M:

    focus = (Σ_{outside M} m / Σ m) / (pixels outside M / all pixels)

1 is chance, what a map without a shape gives; 0 is all inside; S²/(pixels outside) is all outside. It is undefined, NaN
and never 0, for a map without mass, a mask without a pixel, and a mask without a pixel outside.

Focus says where a map's mass is. It does not say that the network would answer differently without what is there, and
the map's own resolution limits it: of a 2 × 2 map, a lesion in the middle gets a quarter of every pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import ShapeError

REASONS = (
    "",
    "the map has no mass above 0",
    "the mask has no pixel of a lesion",
    "the mask has no pixel outside",
    "the map is not finite",
)


@dataclass(frozen=True, eq=False)
class Focus:
    """The focus of some maps.

    Attributes:
        values: float64 (n,), or (n, C) of channels; NaN where undefined.
        why: int64 of the same shape, which of ``REASONS`` a value is undefined for; 0 where it is defined.
    """

    values: NDArray[np.float64]
    why: NDArray[np.int64]

    def undefined(self) -> dict[str, int]:
        """How many values are undefined, by reason."""
        counts = np.bincount(self.why.ravel(), minlength=len(REASONS))
        return {reason: int(n) for reason, n in zip(REASONS[1:], counts[1:], strict=True) if n}


def focus(maps: Tensor, masks: Tensor) -> Focus:
    """The focus of one map per image.

    Maps are clipped at 0 in their own resolution and then brought to that of the masks, bilinearly as ``to_image_size``
    does it; maps of the masks' size are taken as they are.

    Args:
        maps: float (n, h, w), h, w ≤ S.
        masks: bool (n, S, S), True on the lesion; of the same device.

    Returns:
        Values (n,) in 0..S²/(pixels outside).

    Raises:
        ShapeError: maps and masks do not fit each other.

    Example:
        A 2 × 2 map of masses 1, 1, 2, 0, the last two of them on the lesion: (2/4) / (2/4) = 1.
    """
    if maps.dim() != 3:
        raise ShapeError(f"maps are {tuple(maps.shape)}; pass (n, h, w)")
    found = channel_focus(maps[:, None], masks)
    return Focus(found.values[:, 0], found.why[:, 0])


def channel_focus(maps: Tensor, masks: Tensor) -> Focus:
    """The focus of every channel of every image, without enlarging one map.

    Enlarging is linear, so the mass outside is ⟨m, Rᵀ(outside)⟩ with R the interpolation: masks are brought to the
    maps' resolution, by the transpose, and not C maps per image to theirs.

    Args:
        maps: float (n, C, h, w), feature maps such as those of ``layer_maps``, h, w ≤ S.
        masks: bool (n, S, S), True on the lesion; of the same device.

    Returns:
        Values (n, C), see ``focus``.

    Raises:
        ShapeError: maps and masks do not fit each other.
    """
    _check(maps, masks)
    maps = maps.detach()
    outside = (~masks).to(torch.float64)
    share_outside = outside.mean(dim=(1, 2))
    mass, of_outside = _masses(maps.clamp(min=0).to(torch.float64), outside)
    why = torch.zeros(maps.shape[:2], dtype=torch.int64, device=maps.device)
    why[mass <= 0] = 1
    why[share_outside == 1] = 2
    why[share_outside == 0] = 3
    why[~maps.isfinite().all(dim=(2, 3))] = 4
    values = torch.where(why == 0, of_outside / mass / share_outside[:, None], torch.nan)
    return Focus(values.cpu().numpy(), why.cpu().numpy())


def _masses(maps: Tensor, outside: Tensor) -> tuple[Tensor, Tensor]:
    """Mass of every enlarged map, and what of it lies outside, both float64 (n, C)."""
    size = outside.shape[-1]
    down, across = (_interpolation(side, size, like=outside) for side in maps.shape[2:])
    everywhere = torch.einsum("nchw,h,w->nc", maps, down.sum(dim=1), across.sum(dim=1))
    weights = torch.einsum("hs,nst,wt->nhw", down, outside, across)
    return everywhere, torch.einsum("nchw,nhw->nc", maps, weights)


def _interpolation(side: int, size: int, *, like: Tensor) -> Tensor:
    """(side, size): what each pixel along one axis of a map adds to every pixel of the enlarged one."""
    identity = torch.eye(side, dtype=like.dtype, device=like.device)
    return F.interpolate(identity[None], size=size, mode="linear", align_corners=False)[0]


def _check(maps: Tensor, masks: Tensor) -> None:
    if masks.dim() != 3 or masks.shape[1] != masks.shape[2] or masks.dtype != torch.bool:
        raise ShapeError(f"masks are {masks.dtype} {tuple(masks.shape)}; pass bool (n, S, S), True on the lesion")
    if maps.dim() != 4 or not maps.is_floating_point() or min(maps.shape[2:]) < 1:
        raise ShapeError(f"maps are {maps.dtype} {tuple(maps.shape)}; pass float (n, C, h, w)")
    if len(maps) != len(masks):
        raise ShapeError(f"{len(maps)} images have maps and {len(masks)} have masks; pass one mask per image")
    if max(maps.shape[2:]) > masks.shape[1]:
        raise ShapeError(f"maps are {tuple(maps.shape[2:])} and masks of {masks.shape[1]} px; pass masks no smaller")
