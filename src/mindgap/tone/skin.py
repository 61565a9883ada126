"""Which pixels show skin, and what hides it: the lesion, hair and rulers, the dark frame, ink, and shine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import ShapeError
from mindgap.tone.lab import lab_of
from mindgap.tone.normalize import edge_width_px
from mindgap.tone.quantiles import masked_quantiles
from mindgap.tone.windows import dilated, filled

FRAME_LIGHTNESS = 15.0  # L*; darker, from the border inwards, is the frame of the instrument
FRAME_LEVEL = 45  # of 255: what is darker than L* 15 in all channels
THIN_CONTRAST = 0.06  # of full white, by which hair and ruler marks are darker than what lies around them
THIN_SHARE = 0.06  # of the image's side; what is broader is no hair
INK_DISTANCE = 25.0  # ΔE in a* and b* from the median skin of the image
DARKER = 2.0  # L* by which a mark is darker than the skin around it
SHINING, BLACK = 250, 5  # of 255: all channels at or above, at or below


@dataclass(frozen=True, eq=False)
class SkinFinding:
    """The skin of n images.

    Attributes:
        skin: bool (N, H, W), what the tone is measured on: away from the lesion's edge and from all else.
        others: bool (N, H, W), what is neither skin nor lesion.
        marks: bool (N, H, W), those of them that are thin and dark and nothing else: hair, ruler, or a fold.
        lab: float32 (N, 3, H, W), the images under corrected light.
        shares: by kind (``thin``, ``frame``, ``ink``, ``shining``, ``black``), float64 (N,), of the pixels outside
            the lesion.
    """

    skin: Tensor
    others: Tensor
    marks: Tensor
    lab: Tensor
    shares: dict[str, NDArray[np.float64]]

    def others_on(self, lightness: NDArray[np.float64]) -> Tensor:
        """What is neither skin nor lesion where the skin is of another L*, bool (N, H, W).

        A mark that is lighter than the new skin is no hair on it, and counts as skin.

        Args:
            lightness: float64 (N,), of the new skin.
        """
        new = torch.as_tensor(lightness, dtype=self.lab.dtype, device=self.lab.device)[:, None, None]
        return self.others & ~(self.marks & (self.lab[:, 0] > new - DARKER))


def find_skin(images: Tensor, lesions: Tensor, *, gains: Tensor | None = None) -> SkinFinding:
    """Finds the skin of images whose lesions are known.

    Hair and ruler marks are what a closing with a square of 6 % of the image fills (black-hat). The frame is dark
    along a row or a column from the border on. Ink is far in colour from the image's own skin, so that a cast is none.

    Args:
        images: uint8 (N, 3, H, W).
        lesions: bool (N, H, W).
        gains: (N, 3), of each channel's light, see ``lab_of``; what is black or shines is told by the bytes.

    Raises:
        ShapeError: they do not fit together.
    """
    if images.shape[0] != lesions.shape[0] or images.shape[2:] != lesions.shape[1:]:
        raise ShapeError(f"images are {tuple(images.shape)}, lesions {tuple(lesions.shape)}; give one mask per image")
    lab = lab_of(images, gains=gains)
    outside = ~lesions
    found = {"frame": _frame(lab[:, 0] < FRAME_LIGHTNESS)}
    found["black"] = (images.amax(dim=1) <= BLACK) & ~found["frame"]
    found["shining"] = images.amin(dim=1) >= SHINING
    found["thin"] = _thin(images)
    rim = dilated(found["thin"], 1)  # mixes hair and skin
    hidden = found["frame"] | found["black"] | found["shining"]
    found["ink"] = _ink(lab, outside & ~hidden & ~rim)
    others = (hidden | found["thin"] | found["ink"]) & outside
    marks = found["thin"] & ~hidden & ~found["ink"] & outside
    near = dilated(lesions, edge_width_px(images.shape[-1]))
    count = outside.sum(dim=(1, 2)).clamp_min(1).double()
    shares = {kind: ((where & outside).sum(dim=(1, 2)) / count).cpu().numpy() for kind, where in found.items()}
    return SkinFinding(~near & ~others & ~rim, others, marks, lab, shares)


def hidden_pixels(images: Tensor) -> Tensor:
    """Pixels of hair, ruler, frame and shine, bool (N, H, W), where the lesion is not known."""
    frame = _frame(images.amax(dim=1) < FRAME_LEVEL)
    return frame | (images.amin(dim=1) >= SHINING) | dilated(_thin(images), 1)


def _frame(dark: Tensor) -> Tensor:
    """Dark pixels from which a row or a column is dark up to the border."""
    border = torch.cat([dark[:, [0, -1]].flatten(1), dark[:, :, [0, -1]].flatten(1)], dim=1).any(dim=1)
    found = torch.zeros_like(dark)
    if border.any():
        whole = dark[border].to(torch.uint8)
        runs = [run for dim in (1, 2) for run in (whole.cumprod(dim), whole.flip(dim).cumprod(dim).flip(dim))]
        found[border] = torch.stack(runs).any(dim=0)
    return found


def _thin(images: Tensor) -> Tensor:
    """Thin dark structures."""
    light = (images.sum(dim=1, dtype=torch.int16) // 3).to(torch.uint8)
    radius = max(1, round(THIN_SHARE * images.shape[-1] / 2))
    return filled(light, radius) - light > THIN_CONTRAST * 255


def _ink(lab: Tensor, clear: Tensor) -> Tensor:
    """Far from the median colour of what is clear, of every second row and column."""
    some = clear[:, ::2, ::2]
    middle = [masked_quantiles(lab[:, channel, ::2, ::2], some, [0.5])[:, 0] for channel in (1, 2)]
    a, b = (torch.as_tensor(each, dtype=lab.dtype, device=lab.device)[:, None, None] for each in middle)
    return (lab[:, 1] - a).square_() + (lab[:, 2] - b).square_() > INK_DISTANCE**2
