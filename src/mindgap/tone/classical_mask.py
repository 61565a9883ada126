"""Lesion masks without weights: what differs in colour from the skin at the border. A fallback, and it says so."""

from __future__ import annotations

import torch
from torch import Tensor

from mindgap.tone.lab import lab_of
from mindgap.tone.lesion_masks import LesionMasks, judged_masks
from mindgap.tone.quantiles import masked_quantiles
from mindgap.tone.skin import hidden_pixels
from mindgap.tone.windows import blurred

BORDER_SHARE = 0.08  # of the side; there is skin
LEAST_SEEN = 0.02  # of the image, of skin that is compared with
SMOOTH_SHARE = 0.012  # of the side, σ of the blur of the distance
LEVELS = 128


def classical_masks(images: Tensor) -> LesionMasks:
    """Masks the largest region whose colour is far from the border's skin.

    The distance in CIELAB to the median colour of the border, or of what is outermost where a frame hides it, is
    smoothed and cut by Otsu's threshold, each image by its own; hair, frame and shine are neither skin nor lesion. Of
    what is left the largest component stays, holes filled.

    Args:
        images: uint8 (N, 3, H, W).

    Source:
        Otsu 1979; the border as reference follows usual practice on dermoscopic images.
    """
    lab, hidden = lab_of(images), hidden_pixels(images)
    reference = _outermost(~hidden)
    middle = torch.stack(
        [
            torch.as_tensor(masked_quantiles(lab[:, channel], reference, [0.5])[:, 0], device=lab.device)
            for channel in range(3)
        ],
        dim=1,
    )
    distance = (lab - middle.nan_to_num(0.0).to(lab.dtype)[:, :, None, None]).square().sum(dim=1).sqrt()
    known = (~hidden).to(lab.dtype)
    both = blurred(torch.stack([distance * known, known], dim=1), sigma=max(0.5, SMOOTH_SHARE * images.shape[-1]))
    smooth = both[:, 0] / both[:, 1].clamp_min(1e-3)
    far = smooth > otsu_threshold(smooth)[:, None, None]  # nothing is, where nothing is seen
    return judged_masks(far, method="classical")


def _outermost(seen: Tensor) -> Tensor:
    """What is seen of the border, bool (N, H, W), or of as broad a band as has enough: a frame may hide the border."""
    height, width = seen.shape[1:]
    edge = max(1, round(BORDER_SHARE * width))
    rows, columns = (torch.arange(size, device=seen.device) for size in (height, width))
    depth = torch.minimum(torch.minimum(rows, height - 1 - rows)[:, None], torch.minimum(columns, width - 1 - columns))
    band = depth // edge  # 0 at the border
    counts = torch.stack([(seen & (band <= number)).sum(dim=(1, 2)) for number in range(int(band.max()) + 1)], dim=1)
    enough = counts >= max(1, round(LEAST_SEEN * height * width))
    first = torch.where(enough.any(dim=1), enough.to(torch.uint8).argmax(dim=1), counts.shape[1])
    return seen & (band <= first[:, None, None])


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
