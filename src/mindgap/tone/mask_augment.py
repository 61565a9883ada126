"""Changes of images and their lesion masks, so that a network masks photographs of other devices too."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from mindgap.tone.windows import blurred

ZOOM_IN, ZOOM_OUT, SHIFT = 1.4, 2.2, 0.15  # largest factors; share of the side
STROKES = 5  # hairs of an image that has some
INK = (0.35, 0.3, 0.55)  # of a surgeon's pen on skin, sRGB in 0..1


def augmented(images: Tensor, masks: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each image in another position, light, colour and sharpness; many with a frame, ink, hair or light from a side.

    Dermatoscopes show a lesion near and evenly lit; what phones and pens do to a picture is drawn, so that neither a
    shade nor a ring of ink is taken for a lesion.

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
    pixels = _with_ink(_shaded(_lit(pixels, generator), generator), generator)
    dark = _frame(len(images), images.shape[-1], generator).to(images.device)
    pixels, truth = _with_hair(pixels * (1 - dark[:, None]), generator), truth * (dark < 0.5)
    soft = blurred(pixels, sigma=0.8)
    keep = _chance(len(images), 0.75, generator).to(images.device)
    return torch.where(keep[:, None, None, None], pixels, soft).clamp(0, 1), truth


def _positions(n: int, size: int, *, generator: torch.Generator) -> Tensor:
    """Any turn, mirror, zoom and shift, as (N, S, S, 2)."""
    draws = torch.rand((n, 5), generator=generator)
    turn, zoom = 2 * math.pi * draws[:, 0], (ZOOM_IN * ZOOM_OUT) ** draws[:, 1] / ZOOM_IN
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


def _shaded(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the images darker to a side, as a limb that turns away from the light."""
    n, size = len(pixels), pixels.shape[-1]
    draws = torch.rand((n, 3), generator=generator)
    angle, where = 2 * math.pi * draws[:, 0, None, None], torch.linspace(-1, 1, size)
    along = torch.cos(angle) * where[:, None] + torch.sin(angle) * where
    dark = 0.6 * draws[:, 1, None, None] * torch.sigmoid(4 * (along - 1.2 * draws[:, 2, None, None]))
    dark = dark * _chance(n, 0.5, generator)[:, None, None]
    return pixels * (1 - dark[:, None].to(pixels.device))


def _with_ink(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """A fifth of the images with an arc of a surgeon's pen, which is no lesion."""
    n, size = len(pixels), pixels.shape[-1]
    draws = torch.rand((n, 6), generator=generator)
    middle, radius = 1.2 * draws[:, :2] - 0.6, 0.15 + 0.6 * draws[:, 2, None, None]
    where = torch.linspace(-1, 1, size)
    down, across = where[None, :, None] - middle[:, 0, None, None], where[None, None, :] - middle[:, 1, None, None]
    width = (2 + 3 * draws[:, 3, None, None]) / size
    ring = (1.5 - ((torch.hypot(down, across) - radius).abs() / width)).clamp(0, 1)
    turned = torch.cos(torch.atan2(down, across) - 2 * math.pi * draws[:, 4, None, None])
    arc = ring * (turned > 2 * draws[:, 5, None, None] - 1) * _chance(n, 0.2, generator)[:, None, None]
    share = (0.75 * arc)[:, None].to(pixels.device)
    ink = torch.tensor(INK, device=pixels.device)[:, None, None]
    return pixels * (1 - share) + ink * share


def _frame(n: int, size: int, generator: torch.Generator) -> Tensor:
    """How dark each pixel is in what is seen through a round instrument, 0..1 (N, S, S); a quarter of the images."""
    draws = torch.rand((n, 3), generator=generator)
    where = torch.linspace(-1, 1, size)
    middle = 0.1 * (2 * draws[:, :2] - 1)
    far = torch.hypot(where[None, :, None] - middle[:, 0, None, None], where[None, None, :] - middle[:, 1, None, None])
    dark = ((far - 0.9 - 0.4 * draws[:, 2, None, None]) * 12).clamp(0, 1)
    return dark * _chance(n, 0.25, generator)[:, None, None]


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
