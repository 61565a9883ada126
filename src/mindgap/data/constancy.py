"""Colour constancy of a classifier's input: another colour of the light, by what an image shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POWER = 6.0
MOST_GAIN = 4.0  # between two colours
_LEVELS = np.arange(256) / 255
_LIGHT = np.where(_LEVELS > 0.04045, ((_LEVELS + 0.055) / 1.055) ** 2.4, _LEVELS / 12.92)
_LUMINANCE = np.array([0.212671, 0.715160, 0.072169])


def shades_of_grey_gains(image: NDArray[np.uint8], *, power: float = POWER) -> NDArray[np.float64]:
    """Gains of red, green and blue light that make the Minkowski mean of an image grey, float64 (3,).

    Grey keeps its luminance. No colour is raised more than four times as much as another: what would need more is a
    coloured thing, of which no light is the cause, and then the rest of its colour stays. A black image is left.
    Skin that fills an image is made grey too, so nothing can be said of its tone afterwards.

    Args:
        image: uint8 (H, W, 3), sRGB.
        power: 1 is the grey world; towards infinity, the brightest pixel.

    Source:
        Finlayson & Trezzi 2004, on linear light.
    """
    counts = np.stack([np.bincount(image[..., channel].ravel(), minlength=256) for channel in range(3)])
    means = (counts @ _LIGHT**power / counts.sum(axis=1)) ** (1 / power)
    if not means.any():
        return np.ones(3)
    means = np.maximum(means, means.max() / MOST_GAIN)
    return (means @ _LUMINANCE) / means


def under_gains(image: NDArray[np.uint8], gains: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The image, uint8 (H, W, 3), with each channel's light multiplied; what is too bright is cut off."""
    light = (_LIGHT[:, None] * gains).clip(0, 1)
    encoded = np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
    table = np.rint(255 * encoded).astype(np.uint8)
    return np.stack([table[image[..., channel], channel] for channel in range(3)], axis=-1)
