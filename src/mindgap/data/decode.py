"""Decoding one image or mask file to its square in the store; without torch and pandas, so workers start fast."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mindgap.data.constancy import shades_of_grey_gains, under_gains

Resize = Literal["squash", "crop", "pad"]
Constancy = Literal["none", "shades_of_grey"]

_MOST_16_BITS, _LEAST_16_BITS = 65_535, 4_096
"""An image of 16 bits whose brightest level is under the second has 12 or fewer, and would be nearly black."""
MAX_PIXELS = 89_478_485
"""Larger images are taken for decompression bombs; Pillow warns from here on (a quarter of a gigabyte in memory)."""

THUMBNAIL_PX = 16
HASH_BITS = 128
_NOISE = 0.5
"""Frequencies below this are rounding; a difference of one grey level between two half images gives 160."""
_ORIENTATION_TAG = 0x0112


class ImageFault(Exception):  # noqa: N818  (a fault of a row, not an error of the program)
    """Why an image cannot be used; the text is the reason code of ``dropped.csv``."""


@dataclass(frozen=True)
class Geometry:
    """How an image becomes a square.

    Attributes:
        size_px: side of the square.
        resize: ``squash`` (ignores the aspect), ``crop`` (the centre square) or ``pad`` (black bars).
        constancy: ``none``, or ``shades_of_grey``, of the square image's colours.
    """

    size_px: int
    resize: Resize
    constancy: Constancy = "none"


def decode_image(path: str, geometry: Geometry) -> NDArray[np.uint8]:
    """Decodes a file to uint8 (S, S, 3), RGB; JPEGs are decoded at the smallest scale not below S ("draft mode").

    EXIF orientation is applied; of an animation the first frame counts. What is transparent becomes white, as viewers
    and paper show it: the colour that a file hides there, often black, is no skin. Of 16 bits the upper eight count;
    CMYK is converted as Pillow does.

    Raises:
        ImageFault: ``missing_file``, ``unreadable``, ``too_large`` or ``under_16_bits``.
    """
    with _faults():
        image = np.asarray(_decode(path, _to_rgb, geometry))
    return under_gains(image, shades_of_grey_gains(image)) if geometry.constancy == "shades_of_grey" else image


def decode_mask(path: str, geometry: Geometry) -> NDArray[np.uint8]:
    """Decodes a mask file to uint8 (S, S), 0 or 255, averaged and cut at half of the file's own maximum.

    So masks of 0/1 count as masks of 0/255 do; one of zeros stays empty, and what is transparent is no lesion.

    Raises:
        ImageFault: ``missing_file``, ``unreadable`` or ``too_large``.
    """
    with _faults():
        grey = np.asarray(_decode(path, _to_full_range, geometry))
        return np.where(grey >= 128, 255, 0).astype(np.uint8)


def row_digest(image: NDArray[np.uint8], mask: NDArray[np.uint8] | None = None) -> int:
    """A 64-bit checksum of stored pixels, by which a resumed build tells a whole row from a torn one.

    CRC-32 of the upper half of the image, and of its lower half and the mask.
    """
    pixels = image.reshape(-1)
    middle = pixels.size // 2
    low = zlib.crc32(pixels[middle:].data)
    return zlib.crc32(pixels[:middle].data) << 32 | (low if mask is None else zlib.crc32(mask.reshape(-1).data, low))


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (16, 16): the image in grey, averaged over boxes."""
    small = Image.fromarray(image).reduce(max(1, min(image.shape[:2]) // THUMBNAIL_PX))
    return np.asarray(small.convert("L").resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX))


def perceptual_hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """uint64 (n, 2): the signs of the 128 lowest frequencies of a cosine transform, the mean left out.

    Scaling, recompression and changes of brightness or contrast move few of the bits; a plain image has none set.

    Args:
        thumbnails: uint8 (n, 16, 16).
    """
    points = np.arange(THUMBNAIL_PX)
    cosines = np.cos(np.pi * points[:, None] * (points + 0.5) / THUMBNAIL_PX)
    frequencies = cosines @ thumbnails.astype(np.float64) @ cosines.T
    total, rows = (points[:, None] + points).ravel(), np.repeat(points, THUMBNAIL_PX)
    lowest = np.lexsort((rows, total))[1 : 1 + HASH_BITS]
    bits = frequencies.reshape(len(thumbnails), -1)[:, lowest] > _NOISE
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64)


@contextmanager
def quiet_decoder() -> Generator[None]:
    """Silences Pillow's remarks on odd files; a file is either used or dropped with a reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@contextmanager
def _faults() -> Generator[None]:
    try:
        yield
    except ImageFault:
        raise
    except FileNotFoundError:
        raise ImageFault("missing_file") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError):
        raise ImageFault("too_large") from None
    except Exception:  # noqa: BLE001  (decoders raise anything at all on damaged files)
        raise ImageFault("unreadable") from None


def _decode(path: str, convert: Callable[[Image.Image], Image.Image], geometry: Geometry) -> Image.Image:
    with Image.open(path) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ImageFault("too_large")
        orientation = image.getexif().get(_ORIENTATION_TAG, 1) if "exif" in image.info else 1
        image.draft(None, _target_size(image, geometry))
        square = _to_square(convert(image), geometry)
    if orientation != 1:
        square.getexif()[_ORIENTATION_TAG] = orientation
        square = ImageOps.exif_transpose(square)
    return square


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ImageFault("unreadable")  # nothing says what number is white
    if image.mode.startswith("I;16") or image.mode == "I":
        levels = np.asarray(image).astype(np.int64)
        if levels.max(initial=0) > _MOST_16_BITS or levels.min(initial=0) < 0:
            raise ImageFault("unreadable")
        if 0 < levels.max(initial=0) < _LEAST_16_BITS:
            raise ImageFault("under_16_bits")
        image = Image.fromarray((levels >> 8).astype(np.uint8))
    image = _opaque(image, "white")
    return image if image.mode == "RGB" else image.convert("RGB")


def _opaque(image: Image.Image, ground: str) -> Image.Image:
    if not image.has_transparency_data:
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, ground), image.convert("RGBA"))


def _to_full_range(image: Image.Image) -> Image.Image:
    """Grey levels, scaled so that the largest is 255; an image of zeros stays one."""
    deep = image.mode in {"I", "F"} or image.mode.startswith("I;16")
    levels = np.nan_to_num(
        np.asarray(image if deep else _opaque(image, "black").convert("L")).astype(np.float32), posinf=0, neginf=0
    )
    top = float(levels.max())
    scaled = levels.clip(0) * (255 / top) if top > 0 else np.zeros_like(levels)
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def _target_size(image: Image.Image, geometry: Geometry) -> tuple[int, int]:
    size = geometry.size_px
    if geometry.resize == "pad":
        scale = size / max(image.size)
        return max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return size, size


def _to_square(image: Image.Image, geometry: Geometry) -> Image.Image:
    size, box = geometry.size_px, (0.0, 0.0, float(image.width), float(image.height))
    if geometry.resize == "crop":
        side = float(min(image.size))
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
    target = _target_size(image, geometry)
    scaled = image.resize(target, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    if target == (size, size):
        return scaled
    square = Image.new(image.mode, (size, size))
    square.paste(scaled, ((size - target[0]) // 2, (size - target[1]) // 2))
    return square
