"""Maps brought to the size of the images they are of."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mindgap.core.errors import ShapeError


def to_image_size(maps: Tensor, size_px: int) -> Tensor:
    """Bilinear interpolation of maps to size_px × size_px, pixels as areas (``align_corners=False``).

    Corners of the map lie on corners of the image, and beyond the middle of an outer pixel its value continues. Where
    the size is the map's own, the maps are returned as they are.

    Args:
        maps: float (n, h, w).
        size_px: side S of the images, pixels.

    Returns:
        Of the maps' type, (n, S, S).

    Raises:
        ShapeError: the maps are not (n, h, w) with h, w ≥ 1, or the size is below 1.

    Example:
        A map of one row, 0 and 1, becomes 0, 1/4, 3/4, 1 in every row at 4 px.
    """
    if maps.dim() != 3 or min(maps.shape[1:]) < 1:
        raise ShapeError(f"maps are {tuple(maps.shape)}; pass (n, h, w)")
    if size_px < 1:
        raise ShapeError(f"the size is {size_px} px; ask for 1 px or more")
    if maps.shape[1:] == (size_px, size_px):
        return maps
    return F.interpolate(maps[:, None], size=(size_px, size_px), mode="bilinear", align_corners=False)[:, 0]
