"""Gains that make neutral what is known to be neutral: a correction of the light's colour that skin does not steer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.tone.lab import linear_of
from mindgap.tone.quantiles import masked_quantiles
from mindgap.tone.skin import SkinFinding
from mindgap.tone.windows import dilated

BRIGHTER = 12.0  # L* over the median of the skin
LEAST_LEVEL, MOST_LEVEL = 120, 249  # of 255, of every channel: below it may be skin, above it is cut off
MOST_GAIN = 2.5  # between two colours; a light that asks for more is a coloured thing
LEAST_APART = 8.0  # ΔE in a* and b* from the skin; nearer, it is skin under more light
LEAST_PIXELS, LEAST_SHARE = 12, 0.001  # of the image
LEAST_IMAGES = 3  # of a source, with anchors
_LUMINANCE = (0.212671, 0.715160, 0.072169)


@dataclass(frozen=True, eq=False)
class NeutralGains:
    """A correction of n images.

    Attributes:
        gains: float64 (n, 3), of red, green and blue light; 1 where nothing is known. Grey keeps its luminance.
        known: bool (n,), whether there were anchors.
    """

    gains: NDArray[np.float64]
    known: NDArray[np.bool_]


def neutral_gains(images: Tensor, lesions: Tensor, finding: SkinFinding) -> NeutralGains:
    """Gains from what outshines the skin of an image: highlights, white marks of a ruler, paper.

    Their median colour is taken for that of the light, if its hue and chroma are not those of the skin, which only is
    lit better there. Dark frames are not used: what dimly shows there is skin.

    Args:
        images: uint8 (N, 3, H, W).
        lesions: bool (N, H, W).
        finding: of these, without gains.
    """
    skin = torch.as_tensor(masked_quantiles(finding.lab[:, 0], finding.skin, [0.5])[:, 0], device=images.device)
    bright = finding.lab[:, 0] > (skin + BRIGHTER)[:, None, None]  # NaN, no skin: none is
    levels = (images.amin(dim=1) >= LEAST_LEVEL) & (images.amax(dim=1) <= MOST_LEVEL)
    anchors = bright & levels & ~dilated(lesions, 1)
    light = linear_of(images)
    colours = np.stack([masked_quantiles(light[:, channel], anchors, [0.5])[:, 0] for channel in range(3)], axis=1)
    least = max(LEAST_PIXELS, LEAST_SHARE * images.shape[2] * images.shape[3])
    hue = _apart(finding, anchors)
    enough = np.asarray(anchors.sum(dim=(1, 2)).cpu().numpy() >= least)
    return _to_white(colours, enough & (hue >= LEAST_APART))


def pooled_gains(found: NeutralGains, sources: Sequence[str | None]) -> NeutralGains:
    """One gain per source of images: the median of those of its images that have anchors.

    Args:
        found: of n images.
        sources: n names; None is a source of its own that is not corrected.
    """
    names = np.array([name if name is not None else "" for name in sources], dtype=object)
    named = np.array([name is not None for name in sources], dtype=np.bool_)
    gains, known = np.ones_like(found.gains), np.zeros(len(names), dtype=np.bool_)
    for name in set(names[named].tolist()):
        own = named & (names == name)
        anchored = own & found.known
        if anchored.sum() >= LEAST_IMAGES:
            gains[own], known[own] = np.exp(np.median(np.log(found.gains[anchored]), axis=0)), True
    return NeutralGains(gains, known)


def _apart(finding: SkinFinding, anchors: Tensor) -> NDArray[np.float64]:
    """Distance in a* and b* of the medians of anchors and of skin, float64 (N,); 0 where one is not there."""
    middles = [
        [masked_quantiles(finding.lab[:, channel], where, [0.5])[:, 0] for channel in (1, 2)]
        for where in (anchors, finding.skin)
    ]
    return np.nan_to_num(np.hypot(*(np.array(middles[0]) - np.array(middles[1]))))


def _to_white(colours: NDArray[np.float64], known: NDArray[np.bool_]) -> NeutralGains:
    with np.errstate(invalid="ignore", divide="ignore"):
        usable = known & (colours.max(axis=1) <= MOST_GAIN * colours.min(axis=1))
    safe = np.where(usable[:, None], colours, 1.0)
    return NeutralGains((safe @ np.array(_LUMINANCE))[:, None] / safe, usable)
