"""Pairs of pictures in one sheet: an image with its lesion outlined, and beside it what is to be compared with it."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PANEL_PX, MOST_PX = 128, 192  # smaller images are repeated up to the one, larger ones reduced to the other
OUTLINE = (0, 255, 255)
GROUND = 225  # grey level where there is no second picture
Bytes = NDArray[np.uint8]


def draw_pairs(images: Bytes, lesions: Bytes, beside: Sequence[Bytes | None]) -> Bytes:
    """The sheet, uint8 (H, W, 3), pairs where ``pair_places`` says.

    Args:
        images: uint8 (n, S, S, 3), RGB, n ≥ 1.
        lesions: uint8 (n, S, S), 0 or 255; all 0 draws no outline.
        beside: of each image uint8 (S, S, 3), or None for a grey square.
    """
    panel = panel_px(images.shape[1])
    places = pair_places(len(images), panel)
    height, width = places[-1][1] + panel, max(x for x, _ in places) + 2 * panel
    sheet = np.full((height, width, 3), GROUND, dtype=np.uint8)
    for image, lesion, other, (x, y) in zip(images, lesions, beside, places, strict=True):
        sheet[y : y + panel, x : x + panel] = _outlined(_scaled(image, panel), _scaled(lesion, panel) > 127)
        if other is not None:
            sheet[y : y + panel, x + panel : x + 2 * panel] = _scaled(other, panel)
    return sheet


def pair_places(n: int, panel: int) -> list[tuple[int, int]]:
    """Left upper corner (x, y) of each pair of squares of ``panel`` pixels, in a sheet about as wide as high."""
    columns = math.ceil(math.sqrt(n / 2)) if n else 1
    return [(k % columns * 2 * panel, k // columns * panel) for k in range(n)]


def panel_px(size_px: int) -> int:
    """Side of a square that shows an image of that size."""
    return MOST_PX if size_px > MOST_PX else size_px * max(1, PANEL_PX // size_px)


def png_bytes(sheet: Bytes) -> bytes:
    """The sheet as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(sheet: Bytes) -> str:
    """The sheet as a PNG that a page holds."""
    return png_uri(png_bytes(sheet))


def png_uri(content: bytes) -> str:
    """A PNG file as a page holds it."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _scaled(pixels: Bytes, panel: int) -> Bytes:
    size = pixels.shape[0]
    if size <= panel:
        return pixels.repeat(panel // size, axis=0).repeat(panel // size, axis=1)
    return np.asarray(Image.fromarray(pixels).resize((panel, panel), Image.Resampling.BOX))


def _outlined(image: Bytes, lesion: NDArray[np.bool_]) -> Bytes:
    """The image with the outermost pixels of the mask coloured; where the mask runs off the image it is open."""
    inside = np.pad(lesion, 1, mode="edge")
    inner = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    drawn = image.copy()
    drawn[lesion & ~inner] = OUTLINE
    return drawn
