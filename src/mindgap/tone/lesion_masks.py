"""Lesion masks with what is doubtful about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

LEAST_SHARE, MOST_SHARE = 0.005, 0.9  # of the image; smaller or larger is no lesion that was found
MAIN_SHARE = 0.8  # of what is masked; less in the largest region is many parts
Method = Literal["classical", "unet"]


@dataclass(frozen=True, eq=False)
class LesionMasks:
    """Masks of n images.

    Attributes:
        masks: bool (N, H, W).
        flags: n tuples of ``no_lesion`` (under 0.5 % of the image), ``all_lesion`` (over 90 %) and ``many_parts`` (the
            largest region has under 80 % of what is masked). A network's masks stay whatever their flags, as some
            lesions are so small or so large; the fallback's are empty where the first two say that it missed. Of many
            parts the mask has the largest, of which the first two speak.
        confidence: float64 (n,), 0..1: the Jaccard that the method expects its mask to have; NaN where it says
            nothing, as the classical fallback never does.
        method: ``unet``, or ``classical``, the fallback without weights.
    """

    masks: Tensor
    flags: tuple[tuple[str, ...], ...]
    confidence: NDArray[np.float64]
    method: Method

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which images have a mask, bool (n,)."""
        return self.masks.flatten(1).any(dim=1).cpu().numpy() if len(self.masks) else np.zeros(0, dtype=np.bool_)


def judged_masks(masks: Tensor, *, method: Method, confidence: NDArray[np.float64] | None = None) -> LesionMasks:
    """Flags masks, leaves the largest region of each, filled, and empties those of the fallback that show no lesion.

    Args:
        masks: bool (N, H, W), which stay as they are.
        method: that found them.
        confidence: float64 (N,); without one it is NaN.
    """
    parts = np.array([_largest_share(mask) < MAIN_SHARE for mask in masks.cpu().numpy()], dtype=np.bool_)
    if len(masks):
        masks = torch.from_numpy(np.stack([_main_region(mask) for mask in masks.cpu().numpy()])).to(masks.device)
    share = masks.flatten(1).double().mean(dim=1).cpu().numpy() if len(masks) else np.zeros(0)
    table = {"no_lesion": share < LEAST_SHARE, "all_lesion": share > MOST_SHARE, "many_parts": parts}
    if method == "classical":
        missed = torch.from_numpy(table["no_lesion"] | table["all_lesion"])
        masks = masks & ~missed.to(masks.device)[:, None, None]
    flags = tuple(tuple(name for name, where in table.items() if where[i]) for i in range(len(masks)))
    return LesionMasks(masks, flags, np.full(len(masks), np.nan) if confidence is None else confidence, method)


def expected_jaccard(probabilities: Tensor, masks: Tensor) -> NDArray[np.float64]:
    """What share of the union the masks hit if every pixel is lesion with its probability, float64 (n,).

    ``Σ p·m / (Σ m + Σ p·(1 − m))``: the ratio of the expected intersection and the expected union; NaN where no
    pixel is masked. It is as good as the probabilities are, and those of images unlike the training's are too sure.

    Args:
        probabilities: float (N, H, W).
        masks: bool (N, H, W).
    """
    hit = (probabilities * masks).sum(dim=(1, 2)).double()
    whole = masks.sum(dim=(1, 2)).double() + (probabilities * ~masks).sum(dim=(1, 2)).double()
    ratio = torch.where(masks.any(dim=2).any(dim=1), hit / whole, torch.nan)
    return ratio.cpu().numpy()


def _main_region(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest region, its holes filled; what is empty stays so."""
    labels = np.zeros(mask.shape, dtype=np.int32)
    if not ndimage.label(mask, output=labels):
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes(labels == sizes.argmax()), dtype=np.bool_)


def _largest_share(mask: NDArray[np.bool_]) -> float:
    """Of what is masked, in the largest region; 1 where nothing is."""
    labels = np.zeros(mask.shape, dtype=np.int32)
    if not ndimage.label(mask, output=labels):
        return 1.0
    sizes = np.bincount(labels.ravel())[1:]
    return float(sizes.max() / sizes.sum())
