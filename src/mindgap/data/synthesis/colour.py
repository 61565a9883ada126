"""CIELAB and sRGB, both ways, and the individual typology angle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindgap.data.synthesis.fields import Array

_RGB_TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65, Y = 1
_EPSILON, _KAPPA = 216 / 24389, 24389 / 27
_RGB_TO_WHITE_XYZ = _RGB_TO_XYZ / _WHITE[:, None]
_WHITE_XYZ_TO_RGB = np.linalg.inv(_RGB_TO_WHITE_XYZ)


def lab_to_linear(lab: Array) -> Array:
    """Linear RGB, 1 is white, of CIELAB; values outside 0..1 are colours a screen cannot show.

    Args:
        lab: float32 (..., 3): L* in 0..100, a*, b*.

    Returns:
        float32 (..., 3).
    """
    root = np.empty_like(lab)
    root[..., 1] = (lab[..., 0] + 16.0) / 116.0
    root[..., 0] = root[..., 1] + lab[..., 1] / 500.0
    root[..., 2] = root[..., 1] - lab[..., 2] / 200.0
    cube = root * root * root
    xyz = np.where(cube > _EPSILON, cube, (116.0 * root - 16.0) / np.float32(_KAPPA))
    return xyz @ _WHITE_XYZ_TO_RGB.T.astype(np.float32)


def linear_to_srgb(linear: Array) -> Array:
    """Encodes linear RGB as sRGB in 0..1, clipped to what a screen can show."""
    clipped = np.clip(linear, 0.0, 1.0)
    return np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** np.float32(1 / 2.4) - 0.055)


def srgb_to_lab(srgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB of sRGB in 0..1 under D65, with the six-digit matrix.

    Args:
        srgb: float64 (..., 3).

    Returns:
        float64 (..., 3): L*, a*, b*.
    """
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _RGB_TO_WHITE_XYZ.T
    root = np.where(xyz > _EPSILON, np.cbrt(xyz), (_KAPPA * xyz + 16.0) / 116.0)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def ita_degrees(lightness: NDArray[np.float64], yellowness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Individual typology angle, atan2(L* − 50, b*) in degrees: above 55 very light, below −30 dark."""
    return np.degrees(np.arctan2(lightness - 50.0, yellowness))
