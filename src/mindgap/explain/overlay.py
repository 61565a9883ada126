"""Maps drawn over the images they are of, as heat colours.

Wei & Chakraborti, Alg. 4: a map is scaled to 0..1 by its own minimum and maximum, enlarged, coloured, and laid over the
image. As each map has its own scale, colours of two pictures cannot be compared.
"""

from __future__ import annotations

import hashlib
import re

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import ConfigError, ShapeError
from mindgap.explain.resize import to_image_size

HEAT_SHARE = 0.5

# Every sixteenth colour of matplotlib's "inferno" (CC0), straight lines between them. Its lightness rises evenly: equal
# steps of a map look equal, which they do not in a rainbow, and keep their order in grey and to the colour-blind.
_INFERNO = (
    "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d04545 e35933 f1711f f98c0a fcaa0f f9c932 f2e865 "
    "fcffa4"
)
_LONGEST_ID = 120


def scaled(maps: Tensor) -> Tensor:
    """Every map brought to 0..1 by its own minimum and maximum; a constant map is 0.

    Args:
        maps: float (n, h, w).

    Returns:
        float32 (n, h, w), or float64 of float64, without a gradient.

    Raises:
        ShapeError: the maps are not (n, h, w), or not finite.

    Example:
        A map of 2, 4, 3, 2 becomes 0, 1, 0.5, 0.
    """
    if maps.dim() != 3:
        raise ShapeError(f"maps are {tuple(maps.shape)}; pass (n, h, w)")
    if not bool(maps.isfinite().all()):
        raise ShapeError("a map holds NaN or infinity, which has no colour; look for what made it")
    maps = maps.detach().to(torch.promote_types(maps.dtype, torch.float32))  # the range of float16 may not fit into it
    lowest, highest = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return torch.where(highest > lowest, (maps - lowest) / (highest - lowest), 0)


def heat_colours(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """RGB in 0..255, float64 (..., 3), of values in 0..1: from black over violet, red and orange to light yellow."""
    anchors = np.array([[*bytes.fromhex(colour)] for colour in _INFERNO.split()], dtype=np.float64)
    places = np.linspace(0, 1, len(anchors))
    return np.stack([np.interp(values, places, anchors[:, colour]) for colour in range(3)], axis=-1)


def overlays(images: NDArray[np.uint8], maps: Tensor) -> NDArray[np.uint8]:
    """Every image, half of it covered by the heat colours of its map.

    Args:
        images: uint8 (n, S, S, 3), sRGB.
        maps: float (n, h, w); each has its own scale, see ``scaled``.

    Returns:
        uint8 (n, S, S, 3).

    Raises:
        ShapeError: images and maps do not fit each other, or a map is not finite.
    """
    _check(images, maps)
    heat = to_image_size(scaled(maps), images.shape[1]).cpu().numpy()
    return np.rint((1 - HEAT_SHARE) * images + HEAT_SHARE * heat_colours(heat)).astype(np.uint8)


def channel_overlays(images: NDArray[np.uint8], maps: Tensor, channel: int) -> NDArray[np.uint8]:
    """Every image under the heat colours of one channel of its feature maps (Wei & Chakraborti, Alg. 4).

    Args:
        images: uint8 (n, S, S, 3), sRGB.
        maps: float (n, C, h, w), such as those of ``layer_maps``.
        channel: number of the channel, 0..C-1.

    Returns:
        uint8 (n, S, S, 3), to be saved under ``channel_file_name``.

    Raises:
        ConfigError: there is no such channel.
        ShapeError: images and maps do not fit each other, or a map is not finite.
    """
    if maps.dim() != 4:
        raise ShapeError(f"maps are {tuple(maps.shape)}; pass (n, C, h, w)")
    if not 0 <= channel < maps.shape[1]:
        raise ConfigError(f"no channel {channel}; the layer's channels are 0..{maps.shape[1] - 1}")
    return overlays(images, maps[:, channel])


def channel_file_name(image_id: str, channel: int) -> str:
    """The name of a channel's picture, ``img_<id>_ch_<channel>.png``, safe on every file system and in an address.

    What is not a letter of ASCII, a digit, a dot, a hyphen or an underscore becomes ``~`` and its bytes in hexadecimal,
    so different ids have different names (where capitals count). A long id is cut, and told apart by its SHA-256.

    Example:
        >>> channel_file_name("ISIC_0024306", 7)
        'img_ISIC_0024306_ch_7.png'
        >>> channel_file_name("a/b é", 7)
        'img_a~2fb~20~c3~a9_ch_7.png'
    """
    escaped = re.sub(rb"[^A-Za-z0-9._-]", _hexadecimal, image_id.encode("utf-8", "surrogatepass")).decode()
    if len(escaped) > _LONGEST_ID:
        digest = hashlib.sha256(escaped.encode()).hexdigest()[:16]
        escaped = f"{escaped[:_LONGEST_ID]}~~{digest}"
    return f"img_{escaped}_ch_{channel}.png"


def _hexadecimal(found: re.Match[bytes]) -> bytes:
    return b"~%02x" % found[0][0]


def _check(images: NDArray[np.uint8], maps: Tensor) -> None:
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[1] != images.shape[2] or images.shape[3] != 3:
        raise ShapeError(f"images are {images.dtype} {images.shape}; pass uint8 (n, S, S, 3)")
    if len(images) != len(maps):
        raise ShapeError(f"{len(images)} images and {len(maps)} maps; pass one map per image")
