"""Lesion masks without weights: what differs in colour from the skin at the border. A fallback, and it says so."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from mindgap.tone.lab import lab_of
from mindgap.tone.lesion_masks import LesionMasks, judged_masks
from mindgap.tone.quantiles import masked_quantiles
from mindgap.tone.skin import hidden_pixels
from mindgap.tone.windows import blurred

BORDER_SHARE = 0.08  # of the side; there is skin
SMOOTH_SHARE = 0.012  # of the side, σ of the blur of the distance
LEVELS = 128


def classical_masks(images: Tensor) -> LesionMasks:
    """Masks the largest region whose colour is far from the border's skin.

    The distance in CIELAB to the median colour of the border is smoothed and cut by Otsu's threshold, each image by its
    own; hair, frame and shine are neither skin nor lesion. Of what is left the largest component stays, holes filled.

    Args:
        images: uint8 (N, 3, H, W).

    Source:
        Otsu 1979; the border as reference follows usual practice on dermoscopic images.
    """
    lab, hidden = lab_of(images), hidden_pixels(images)
    height, width = images.shape[-2:]
    edge = max(1, round(BORDER_SHARE * width))
    border = torch.ones((height, width), dtype=torch.bool, device=images.device)
    border[edge : height - edge, edge : width - edge] = False
    middle = torch.stack(
        [
            torch.as_tensor(masked_quantiles(lab[:, channel], border & ~hidden, [0.5])[:, 0], device=lab.device)
            for channel in range(3)
        ],
        dim=1,
    )
    distance = (lab - middle.nan_to_num(0.0).to(lab.dtype)[:, :, None, None]).square().sum(dim=1).sqrt()
    known = (~hidden).to(lab.dtype)
    both = blurred(torch.stack([distance * known, known], dim=1), sigma=max(0.5, SMOOTH_SHARE * width))
    smooth = both[:, 0] / both[:, 1].clamp_min(1e-3)
    far = smooth > otsu_threshold(smooth)[:, None, None]
    found = [_largest_filled(mask) for mask in far.cpu().numpy()]
    masks = np.stack(found) if found else np.zeros((0, height, width), dtype=np.bool_)
    return judged_masks(torch.from_numpy(masks).to(images.device), method="classical")


def otsu_threshold(maps: Tensor) -> Tensor:
    """The value that parts each image's pixels into two classes of least variance, (N,).

    Args:
        maps: floating (N, H, W); histograms have 128 bins from each image's least value to its largest.
    """
    flat = maps.flatten(1)
    low, high = flat.amin(dim=1, keepdim=True), flat.amax(dim=1, keepdim=True)
    width = (high - low).clamp_min(1e-12)
    place = ((flat - low) / width * LEVELS).long().clamp_max(LEVELS - 1)
    counts = torch.zeros((len(flat), LEVELS), dtype=torch.float64, device=maps.device)
    counts.scatter_add_(1, place, torch.ones_like(flat, dtype=torch.float64))
    centres = torch.arange(LEVELS, dtype=torch.float64, device=maps.device) + 0.5
    below, weight = counts.cumsum(1), (counts * centres).cumsum(1)
    above = below[:, -1:] - below
    between = below * above * (weight / below.clamp_min(1) - (weight[:, -1:] - weight) / above.clamp_min(1)) ** 2
    cut = (between.argmax(dim=1, keepdim=True) + 1) / LEVELS
    return (low + cut.to(maps.dtype) * width)[:, 0]


def _largest_filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels = np.zeros(mask.shape, dtype=np.int32)
    if not ndimage.label(mask, output=labels):
        return mask
    sizes = np.bincount(labels.ravel())[1:]
    return np.asarray(ndimage.binary_fill_holes(labels == sizes.argmax() + 1), dtype=np.bool_)
