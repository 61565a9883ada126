"""Filters over small windows of many images, by shifted copies: on a CPU faster than pooling and convolving."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def largest(maps: Tensor, radius_px: int) -> Tensor:
    """Largest value in the square of so many pixels to every side; beyond the border nothing counts.

    Args:
        maps: (N, H, W) of any kind with an order.
        radius_px: of the window.
    """
    for dim in (1, 2):
        maps = _largest_along(maps, radius_px, dim)
    return maps


def dilated(masks: Tensor, radius_px: int) -> Tensor:
    """Masks, bool (N, H, W), grown by so many pixels to every side."""
    return largest(masks.to(torch.uint8), radius_px) > 0


def filled(maps: Tensor, radius_px: int) -> Tensor:
    """uint8 (N, H, W), closed by a square: what is darker than its surroundings and thinner than it is filled."""
    return 255 - largest(255 - largest(maps, radius_px), radius_px)


def blurred(maps: Tensor, *, sigma: float) -> Tensor:
    """Gaussian blur of (N, C, H, W), of radius ⌈3σ⌉; the border is continued outwards."""
    radius = math.ceil(3 * sigma)
    weights = [math.exp(-(offset**2) / (2 * sigma**2)) for offset in range(-radius, radius + 1)]
    total = sum(weights)
    for dim in (2, 3):
        padded = _padded(maps, radius, dim)
        parts = [padded.narrow(dim, place, maps.shape[dim]) for place in range(len(weights))]
        maps = parts[0] * (weights[0] / total)
        for part, weight in zip(parts[1:], weights[1:], strict=True):
            maps.add_(part, alpha=weight / total)
    return maps


def _largest_along(maps: Tensor, radius: int, dim: int) -> Tensor:
    """Windows of 1, 2, 4, … pixels, each the larger of two before it, and one last overlap."""
    size, width, span = maps.shape[dim], 2 * radius + 1, 1
    found = _padded(maps, radius, dim)
    while span < width:
        step = min(span, width - span)
        rest = found.shape[dim] - step
        found = torch.maximum(found.narrow(dim, 0, rest), found.narrow(dim, step, rest))
        span += step
    return found.narrow(dim, 0, size)


def _padded(maps: Tensor, radius: int, dim: int) -> Tensor:
    """With the border's values continued, which adds no larger value to any window."""
    size = maps.shape[dim]
    first, last = maps.narrow(dim, 0, 1), maps.narrow(dim, size - 1, 1)
    shape = [radius if axis == dim else -1 for axis in range(maps.ndim)]
    return torch.cat([first.expand(shape), maps, last.expand(shape)], dim=dim)
