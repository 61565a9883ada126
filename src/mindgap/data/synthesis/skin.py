"""Skin of a known tone, and its texture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindgap.data.synthesis.fields import Array, smooth_field

_CELLS = (5, 5, 9, 28, 60)  # of the random fields: two kinds of blotches, veins, furrows, pores
_RADII = (23.0, 18.0)  # distance from L* 50, b* 0 for light and dark skin


def skin_colour(ita_degrees: NDArray[np.float64], tone: NDArray[np.int64], numbers: NDArray[np.float64]) -> Array:
    """CIELAB of skin whose typology angle is given: a point on the ray of that angle, with a* free.

    Args:
        ita_degrees: float64 (B,).
        tone: int64 (B,), index into TONES.
        numbers: float64 (B, 2) in −1..1: how far out on the ray, how red.

    Returns:
        float32 (B, 3).
    """
    radius = np.array(_RADII)[tone] + 2.0 * numbers[:, 0]
    angle = np.radians(ita_degrees)
    parts = [50.0 + radius * np.sin(angle), 11.0 + 2.5 * numbers[:, 1], radius * np.cos(angle)]
    return np.stack(parts, axis=1).astype(np.float32)


def draw_texture(generator: np.random.Generator) -> list[Array]:
    """Standard normal grids of the fields of one image."""
    return [generator.standard_normal((cells, cells), dtype=np.float32) for cells in _CELLS]


def skin_texture(grids: list[list[Array]], position: Array, clear: NDArray[np.bool_]) -> Array:
    """Blotches, furrows and pores, of mean 0 over the clear skin so that the tone stays what it is.

    Args:
        grids: B results of ``draw_texture``.
        position: float32 (B, S), coordinates −1..1 of rows and of columns.
        clear: bool (B, S, S).

    Returns:
        float32 (B, S, S, 3), added to L*, a* and b*.
    """
    place = (position + 1.0) / 2.0
    fields = [smooth_field(np.stack(level), place, place) for level in zip(*grids, strict=True)]
    shade, flush, veins, furrows, pores = fields
    lightness = 1.4 * shade + 1.3 * np.tanh(1.5 * furrows) + 0.7 * pores
    redness = 1.2 * flush + 0.9 * veins
    yellowness = 0.6 * veins - 0.4 * flush
    texture = np.stack([lightness, redness, yellowness], axis=-1)
    weight = clear[..., None] / np.maximum(clear.sum(axis=(1, 2)), 1)[:, None, None, None]
    return texture - (texture * weight).sum(axis=(1, 2), keepdims=True).astype(np.float32)
