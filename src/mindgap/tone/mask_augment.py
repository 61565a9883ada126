"""Changes of images and their lesion masks, so that a network masks photographs of other devices too."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from mindgap.tone.windows import blurred

ZOOM, SHIFT = 1.4, 0.15  # largest factor either way; share of the side
STROKES = 5  # hairs of an image that has some


def augmented(images: Tensor, masks: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each image in another position, light, colour and sharpness; half of them with a dark frame or hair.

    Args:
        images: uint8 (N, 3, S, S).
        masks: bool (N, S, S).
        generator: on the CPU.

    Returns:
        Images in 0..1, float32 (N, 3, S, S), and masks as float32 (N, S, S), 0 or 1.
    """
    grid = _positions(len(images), images.shape[-1], generator=generator).to(images.device)
    both = torch.cat([images.float() / 255, masks[:, None].float()], dim=1)
    moved = functional.grid_sample(both, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    pixels, truth = moved[:, :3], (moved[:, 3] > 0.5).float()
    pixels = _with_hair(_with_frame(_lit(pixels, generator), generator), generator)
    soft = blurred(pixels, sigma=0.8)
    keep = _chance(len(images), 0.75, generator).to(images.device)
    return torch.where(keep[:, None, None, None], pixels, soft).clamp(0, 1), truth


def _positions(n: int, size: int, *, generator: torch.Generator) -> Tensor:
    """Any turn, mirror, zoom and shift, as (N, S, S, 2)."""
    draws = torch.rand((n, 5), generator=generator)
    turn, zoom = 2 * math.pi * draws[:, 0], ZOOM ** (2 * draws[:, 1] - 1)
    mirror = torch.where(draws[:, 2] < 0.5, 1.0, -1.0)
    first = torch.stack([torch.cos(turn) * mirror, -torch.sin(turn), SHIFT * (2 * draws[:, 3] - 1)], dim=1)
    second = torch.stack([torch.sin(turn) * mirror, torch.cos(turn), SHIFT * (2 * draws[:, 4] - 1)], dim=1)
    matrix = torch.stack([first, second], dim=1)
    matrix[:, :, :2] *= zoom[:, None, None]
    return functional.affine_grid(matrix, [n, 1, size, size], align_corners=False)


def _lit(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Another brightness, contrast, gamma and gain of every colour."""
    draws = (2 * torch.rand((len(pixels), 6, 1, 1), generator=generator) - 1).to(pixels.device)
    gains = 1 + 0.15 * draws[:, :3]
    middle = pixels.mean(dim=(1, 2, 3), keepdim=True)
    contrast, bright = 1 + 0.25 * draws[:, 3:4], 0.1 * draws[:, 4:5]
    return ((pixels - middle) * contrast + middle * gains + bright).clamp(1e-3, 1) ** (1.4 ** draws[:, 5:6])


def _with_frame(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """A quarter of the images as through a round instrument, dark around."""
    n, size = len(pixels), pixels.shape[-1]
    draws = torch.rand((n, 3), generator=generator)
    where = torch.linspace(-1, 1, size)
    middle = 0.1 * (2 * draws[:, :2] - 1)
    far = torch.hypot(where[None, :, None] - middle[:, 0, None, None], where[None, None, :] - middle[:, 1, None, None])
    dark = ((far - 0.9 - 0.4 * draws[:, 2, None, None]) * 12).clamp(0, 1)
    dark = dark * _chance(n, 0.25, generator)[:, None, None]
    return pixels * (1 - dark[:, None].to(pixels.device))


def _with_hair(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """A third of the images with dark strokes, straight or slightly bent."""
    n, size = len(pixels), pixels.shape[-1]
    draws = torch.rand((n, STROKES, 4), generator=generator)
    where = torch.linspace(-1, 1, size)
    angle, offset, bend = math.pi * draws[..., 0], 1.6 * draws[..., 1] - 0.8, 0.6 * (draws[..., 2] - 0.5)
    along = torch.cos(angle)[..., None, None] * where[:, None] + torch.sin(angle)[..., None, None] * where
    across = -torch.sin(angle)[..., None, None] * where[:, None] + torch.cos(angle)[..., None, None] * where
    distance = (across - offset[..., None, None] - bend[..., None, None] * along**2).abs()
    width = (1 + draws[..., 3, None, None]) / size
    there = (1 - (distance / width - 0.5).clamp(0, 1)) * _chance(n, 1 / 3, generator)[:, None, None, None]
    return pixels * (1 - 0.75 * there.amax(dim=1, keepdim=True).to(pixels.device))


def _chance(n: int, share: float, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator) < share
