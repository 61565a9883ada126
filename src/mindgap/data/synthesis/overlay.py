"""What lies over the skin: hair, and the dark frame of the microscope."""

from __future__ import annotations

import numpy as np

from mindgap.data.synthesis.fields import Array, blobs, sigmoid

HAIR_SHARE, FRAME_SHARE = 0.55, 0.5
_HAIRS = 9
_POINTS_PER_PIXEL = 2  # points along a hair, per pixel of the image's side: close enough to be a line


def draw_hair(generator: np.random.Generator) -> Array:
    """(_HAIRS, 8): row and column of three control points, width, strength (0 for hairs that are not there)."""
    count = min(1 + int(generator.exponential(2.5)), _HAIRS) if generator.random() < HAIR_SHARE else 0
    start = generator.uniform(0, 2 * np.pi, _HAIRS)
    across = start + np.pi + generator.normal(0, 0.7, _HAIRS)
    ends = [1.5 * np.stack([np.sin(angle), np.cos(angle)], axis=1) for angle in (start, across)]
    middle = (ends[0] + ends[1]) / 2 + generator.normal(0, 0.6, (_HAIRS, 2))
    width = generator.uniform(0.007, 0.014, (_HAIRS, 1))
    strength = (np.arange(_HAIRS) < count)[:, None] * generator.uniform(0.7, 1.0, (_HAIRS, 1))
    return np.concatenate([ends[0], middle, ends[1], width, strength], axis=1).astype(np.float32)


def hair_cover(position: Array, hair: Array) -> Array:
    """float32 (B, S, S) in 0..1, how much hair covers the skin: blobs along quadratic curves."""
    time = np.linspace(0.0, 1.0, _POINTS_PER_PIXEL * position.shape[1], dtype=np.float32)[:, None]
    begin, middle, end = (hair[:, :, None, k : k + 2] for k in (0, 2, 4))
    points = (1 - time) ** 2 * begin + 2 * time * (1 - time) * middle + time**2 * end
    spacing = np.linalg.norm(np.diff(points, axis=2, append=points[:, :, -1:]), axis=3)
    pixel = 2.0 / position.shape[1]
    width = np.maximum(hair[:, :, 6:7], 0.5 * pixel)
    thin = hair[:, :, 6:7] / width
    heights = hair[:, :, 7:8] * thin * spacing / (width * np.float32(np.sqrt(2 * np.pi)))
    flat = (len(hair), _HAIRS * len(time))
    density = blobs(
        position,
        position,
        centres=points.reshape(*flat, 2),
        widths=np.broadcast_to(width, heights.shape).reshape(flat),
        heights=heights.reshape(flat),
    )
    return 1.0 - np.exp(-2.2 * density)


def draw_frame(generator: np.random.Generator) -> Array:
    """(4,) centre row and column, radius in half-widths, softness; most of the time no frame is in view."""
    centre = generator.normal(0, 0.05, 2)
    radius = generator.uniform(0.98, 1.22) if generator.random() < FRAME_SHARE else 9.0
    return np.array([*centre, radius, generator.uniform(0.015, 0.05)], dtype=np.float32)


def frame_light(position: Array, frame: Array) -> Array:
    """float32 (B, S, S): 1 inside the microscope's round field of view, near 0 outside."""
    away = np.hypot((position - frame[:, :1])[:, :, None], (position - frame[:, 1:2])[:, None, :])
    return 0.015 + 0.985 * sigmoid((frame[:, 2, None, None] - away) / frame[:, 3, None, None])
