"""Smooth random fields and sums of blobs, for a batch of images at once and without a loop over pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]  # float32 throughout; NumPy cannot say so of arithmetic with Python numbers

_SPLINE_DEVIATION = 151 / 315  # √(v·v), where v = ∫ B₃² is the variance along one axis of a sum of standard normals


def smooth_field(values: Array, rows: Array, columns: Array) -> Array:
    """Cubic B-spline through a grid of independent values, of about unit variance.

    Args:
        values: float32 (B, K, K), standard normal, K at least 4.
        rows: float32 (B, H), positions in 0..1 over the grid; beyond the ends the border value continues.
        columns: float32 (B, W).

    Returns:
        float32 (B, H, W).
    """
    cells = values.shape[1]
    along_rows, along_columns = _spline_basis(rows, cells), _spline_basis(columns, cells)
    return along_rows @ values @ along_columns.swapaxes(1, 2) / np.float32(_SPLINE_DEVIATION)


def blobs(rows: Array, columns: Array, *, centres: Array, widths: Array, heights: Array) -> Array:
    """Sum of round Gaussian blobs, by one matrix product as the Gaussian is separable.

    Args:
        rows: float32 (B, H), coordinates of the rows.
        columns: float32 (B, W), coordinates of the columns.
        centres: float32 (B, N, 2), row and column of each blob.
        widths: float32 (B, N), standard deviations.
        heights: float32 (B, N).

    Returns:
        float32 (B, H, W).
    """
    scale = (-0.5 / widths**2)[:, :, None]
    down = np.exp(scale * (rows[:, None, :] - centres[:, :, :1]) ** 2) * heights[:, :, None]
    across = np.exp(scale * (columns[:, None, :] - centres[:, :, 1:]) ** 2)
    return down.swapaxes(1, 2) @ across


def step(values: Array, *, at: float, width: float) -> Array:
    """Smooth step from 0 to 1 around ``at``."""
    return sigmoid((values - np.float32(at)) / np.float32(width))


def sigmoid(values: Array) -> Array:
    """1/(1 + exp(−x)) without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * values))


def _spline_basis(positions: Array, cells: int) -> Array:
    """float32 (B, S, K): weights of the K values at each position."""
    place = 1.0 + np.clip(positions, 0.0, 1.0)[:, :, None] * (cells - 3) - np.arange(cells, dtype=np.float32)
    distance = np.minimum(np.abs(place), 2.0)
    near = 2.0 / 3.0 - distance**2 + 0.5 * distance**3
    far = (2.0 - distance) ** 3 / 6.0
    return np.where(distance < 1.0, near, far).astype(np.float32)
