"""CIELAB of images, on any device, in the units of scikit-image's ``rgb2lab`` (D65, 2° observer)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mindgap.core.errors import ShapeError

_XYZ_OF_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE = (0.95047, 1.0, 1.08883)
_OF_RGB = (np.array(_XYZ_OF_RGB) / np.array(_WHITE)[:, None]).tolist()  # to XYZ relative to white
_TO_RGB = np.linalg.inv(np.array(_OF_RGB)).tolist()
_LINEAR_BELOW = 0.008856  # of a relative XYZ; there the cube root is continued by a line
_LEVELS = 2**16  # of light; a step is under a fifth of the darkest byte's
_SLOPE, _OFFSET = 7.787, 16.0 / 116.0


def lab_of(images: Tensor, *, gains: Tensor | None = None) -> Tensor:
    """CIELAB of sRGB images.

    Six-digit matrix, white (95.047, 100, 108.883); within 1e-3 of scikit-image on every colour.

    Args:
        images: uint8 (…, 3, H, W), or floating in 0..1.
        gains: (…, 3), by which each channel's light is multiplied before, as of a correction of the light's colour.

    Returns:
        float32 (…, 3, H, W): L* in 0..100, a*, b*. float64 of float64.

    Raises:
        ShapeError: there are not three channels.

    Source:
        IEC 61966-2-1 and CIE 15; Wei & Chakraborti, §2.2, whose four-digit matrix is not used.
    """
    _check(images)
    linear = linear_of(images)
    if gains is not None:
        linear = linear * _per_pixel(gains, linear)
    relative = _times(_OF_RGB, linear)
    root, dark = _power(relative.clamp_min(_LINEAR_BELOW), 1 / 3), relative <= _LINEAR_BELOW
    if dark.any():  # in few images, and of few pixels
        root[dark] = _SLOPE * relative[dark] + _OFFSET
    x, y, z = root.unbind(-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-3)


def rgb_of(lab: Tensor) -> Tensor:
    """The sRGB values of CIELAB images; what lies outside sRGB is cut off, channel by channel.

    Args:
        lab: floating (…, 3, H, W).

    Returns:
        In 0..1, of the same shape and kind.

    Raises:
        ShapeError: there are not three channels.
    """
    return encoded(_light_of(lab))


def bytes_of_lab(lab: Tensor, *, gains: Tensor | None = None) -> Tensor:
    """uint8 sRGB of CIELAB images, float32 (…, 3, H, W): ``bytes_of(rgb_of(lab))`` from a table, three times as fast.

    With ``gains`` under the light that ``lab_of`` with the same gains was told to correct.

    Raises:
        ShapeError: there are not three channels.
    """
    light = _light_of(lab)
    if gains is not None:
        light = light / _per_pixel(gains, light)
    light = light.clamp_(0, 1).mul_(_LEVELS - 1).add_(0.5)
    return _byte_table(lab.device)[light.int()]


def _light_of(lab: Tensor) -> Tensor:
    _check(lab)
    lightness, a, b = lab.unbind(-3)
    y = (lightness + 16) / 116
    root = torch.stack([a / 500 + y, y, (y - b / 200).clamp_min(0)], dim=-3)
    relative, dark = root * root * root, root <= 0.2068966
    if dark.any():
        relative[dark] = (root[dark] - _OFFSET) / _SLOPE
    return _times(_TO_RGB, relative)


def bytes_of(images: Tensor) -> Tensor:
    """uint8 of images in 0..1, rounded to the nearest."""
    return (255 * images).round_().to(torch.uint8)


def _byte_table(device: torch.device) -> Tensor:
    return bytes_of(encoded(torch.linspace(0, 1, _LEVELS, device=device, dtype=torch.float64)))


def linear_of(images: Tensor) -> Tensor:
    """Light, in 0..1, that sRGB values stand for; uint8 or floating, of any shape."""
    if images.dtype == torch.uint8:
        table = linear_of(torch.arange(256, device=images.device, dtype=torch.float64) / 255).float()
        return table[images.int()]
    return torch.where(images > 0.04045, ((images + 0.055) / 1.055).clamp_min(0).pow(2.4), images / 12.92)


def encoded(light: Tensor) -> Tensor:
    """The sRGB values, in 0..1, of light; what is outside 0..1 is cut off."""
    inside = light.clamp(0, 1)
    return torch.where(inside > 0.0031308, 1.055 * _power(inside.clamp_min(0.0031308), 1 / 2.4) - 0.055, 12.92 * inside)


def _times(matrix: list[list[float]], images: Tensor) -> Tensor:
    """A matrix (3, 3) times the channels; three multiply-adds each are faster than a product of small matrices."""
    first, second, third = images.unbind(-3)
    return torch.stack([(first * a).add_(second, alpha=b).add_(third, alpha=c) for a, b, c in matrix], dim=-3)


def _power(values: Tensor, exponent: float) -> Tensor:
    """Powers of positive values, by logarithm, which is faster."""
    return values.log().mul_(exponent).exp_()


def _per_pixel(gains: Tensor, light: Tensor) -> Tensor:
    return gains.to(device=light.device, dtype=light.dtype)[..., None, None]


def _check(images: Tensor) -> None:
    if images.ndim < 3 or images.shape[-3] != 3:
        raise ShapeError(f"images must be (…, 3, H, W), got {tuple(images.shape)}")
