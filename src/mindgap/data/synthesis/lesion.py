"""The lesion: its outline, and how its pigment changes the colour of the skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.data.synthesis.fields import Array, blobs, sigmoid, smooth_field, step

MASK_EDGE = 0.12
_REACH = 1.6  # half-width of the random fields, in lesion radii
_SPOTS = 14
_DRAWS = (12, 5 * 5, 14 * 14, 7 * 7, 7 * 7, 7 * 7, 9 * 9, _SPOTS * 4)


@dataclass(frozen=True, eq=False)
class Lesion:
    """One lesion per image.

    Attributes:
        cover: float32 (B, S, S) in 0..1, how much of the pigment lies over the skin; MASK_EDGE is the edge of the mask.
        shift: float32 (B, S, S, 3), what full cover adds to L*, a* and b*.
    """

    cover: Array
    shift: Array

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Bool (B, S, S)."""
        return self.cover >= MASK_EDGE


def draws_per_lesion() -> int:
    """Standard normal numbers that one lesion needs."""
    return sum(_DRAWS)


def paint_lesion(numbers: Array, traits: Array, *, rows: Array, columns: Array) -> Lesion:
    """Paints the lesions of a batch.

    Args:
        numbers: float32 (B, draws_per_lesion()), standard normal; equal numbers are the same lesion.
        traits: float32 (B, 7), see ``Morphology``.
        rows: float32 (B, S), position of the rows in lesion radii from its centre.
        columns: float32 (B, S).
    """
    parts = np.split(numbers, np.cumsum(_DRAWS)[:-1], axis=1)
    fields = [_field(part, rows, columns) for part in parts[1:7]]
    distance = _distance(parts[0], fields[:2], traits, rows=rows, columns=columns)
    softness = (0.07 - 0.05 * traits[:, 5])[:, None, None]
    shift = _pigment(parts[0], fields[2:5], traits, distance)
    shift[..., 0] -= 14.0 * traits[:, 3, None, None] * _network(parts[0], fields[5], rows=rows, columns=columns)
    shift += _cysts(parts[7], traits[:, 4], rows=rows, columns=columns)
    return Lesion(sigmoid(-distance / softness), shift)


def _field(numbers: Array, rows: Array, columns: Array) -> Array:
    cells = round(numbers.shape[1] ** 0.5)
    values = numbers.reshape(-1, cells, cells)
    return smooth_field(values, (rows / _REACH + 1.0) / 2.0, (columns / _REACH + 1.0) / 2.0)


def _distance(form: Array, fields: list[Array], traits: Array, *, rows: Array, columns: Array) -> Array:
    """Distance beyond the outline in lesion radii, negative inside: an ellipse bent by a coarse and a fine field."""
    stretch = np.exp(0.10 * form[:, :1])
    radius = np.hypot((rows * stretch)[:, :, None], (columns / stretch)[:, None, :])
    asymmetry, irregularity = traits[:, 0, None, None], traits[:, 1, None, None]
    bent = (0.04 + 0.20 * asymmetry) * fields[0] + (0.01 + 0.09 * irregularity) * fields[1]
    return radius - 1.0 - np.clip(bent, -0.6, 0.4)


def _pigment(form: Array, patches: list[Array], traits: Array, distance: Array) -> Array:
    """float32 (B, S, S, 3): brown, darker to the centre; with variegation black, blue-grey and red patches."""
    depth = np.clip(-distance, 0.0, 1.0)
    amount, pigment = traits[:, 2, None, None], traits[:, 6, None, None]
    blue = amount * step(patches[1], at=0.7, width=0.25)
    red = amount * step(patches[2], at=0.9, width=0.25)
    brown = form[:, 1:4, None, None]
    lightness = (
        -13.0 - 12.0 * pigment - 1.5 * brown[:, 0] - 4.0 * depth + amount * (7.0 * patches[0] - 3.0 * blue + 5.0 * red)
    )
    redness = 5.0 + 1.5 * brown[:, 1] - 5.0 * blue + 9.0 * red
    yellowness = 8.0 - 6.0 * pigment + 2.0 * brown[:, 2] - 4.0 * depth - 15.0 * blue - 3.0 * red
    return np.stack([lightness, redness, yellowness], axis=-1)


def _network(form: Array, warp: Array, *, rows: Array, columns: Array) -> Array:
    """Dark lines around lighter holes: the ridges of three plane waves at 60°, bent by a smooth field. Mean near 0."""
    turn = (form[:, 4] * np.pi)[:, None, None]
    waves = (12.5 + 1.5 * form[:, 5])[:, None, None]
    total = np.zeros_like(warp)
    for third in range(3):
        angle = turn + np.float32(third * np.pi / 3)
        along = np.cos(angle) * rows[:, :, None] + np.sin(angle) * columns[:, None, :]
        total += np.cos(waves * along + (0.9 + 0.4 * third) * warp)
    return 0.7 - 1.2 * sigmoid(1.6 * total)


def _cysts(numbers: Array, amount: Array, *, rows: Array, columns: Array) -> Array:
    """float32 (B, S, S, 3): bright cysts and dark openings, more of them and stronger with the trait."""
    spots = numbers.reshape(-1, _SPOTS, 4)
    strength = sigmoid(12.0 * (amount[:, None] - np.linspace(0.35, 0.9, _SPOTS, dtype=np.float32)))
    dark = np.arange(_SPOTS) % 3 == 2
    heights = strength * np.where(dark, -16.0, 19.0).astype(np.float32)
    widths = 0.05 + 0.025 * np.clip(np.abs(spots[:, :, 2]), 0.0, 2.0)
    centres = 0.75 * np.tanh(0.9 * spots[:, :, :2])
    lightness = blobs(rows, columns, centres=centres, widths=widths, heights=heights)
    return np.stack([lightness, -0.1 * lightness, 0.25 * lightness], axis=-1)
