"""Soft nearest neighbour loss of every channel of a layer: how far apart images of one group lie in it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from mindgap.core.errors import ConfigError, DataError, ShapeError

Feature = Literal["map", "mean"]
Distance = Literal["squared", "cosine"]
Temperature = float | Literal["auto"]

_MOST_RATE = 1e30
"""Largest 1/T in units of a channel's largest value: only the nearest neighbour counts long before."""
_CHUNK_VALUES = {"cpu": 1 << 18, "cuda": 1 << 25}
"""Pairs or values of the images in the channels that are scored together: what a core's cache holds, or fills a GPU."""
LEAST_TEMPERATURE, MOST_TEMPERATURE = 1e-6, 1e6
TELLS_APART = 1e-6
"""Relative spread under which float32 cannot tell two images apart."""


def channel_snnl(
    maps: Tensor,
    groups: Tensor,
    *,
    feature: Feature = "map",
    distance: Distance = "squared",
    temperature: Temperature = "auto",
) -> Tensor:
    """Soft nearest neighbour loss of each channel; LOW where the channel tells the groups apart.

    Wei & Chakraborti, eq. 16, for one channel's features f and the groups s of n images::

        SNNL = 1/|I| Σ_{i∈I} −log( Σ_{j≠i, s_j=s_i} exp(−d(f_i, f_j)/T) / Σ_{j≠i} exp(−d(f_i, f_j)/T) )

    I are the images with another of their group in the batch; without one the logarithm is of 0, and the image counts
    as a neighbour of others only. Images of unknown group are left out of everything. d is |f_i − f_j|², or
    1 − cos(f_i, f_j) of the features as they are (1 where one is all zeros).

    A channel that knows nothing of G groups of n/G images scores about log((n − 1)/(n/G − 1)), and groups of other
    shares score otherwise: compare channels within one batch, not batches of different groups.

    Args:
        maps: (n, C, H, W) or (n, C), a layer's outputs.
        groups: int64 (n,), -1 where unknown.
        feature: ``map`` compares whole maps, ``mean`` (the paper's) their averages.
        distance: ``squared`` (the paper's) or ``cosine`` (Kong et al. 2024); of the mean, a single number, ``cosine``
            knows only the sign.
        temperature: T, 1e-6 to 1e6, or ``auto``: each channel's mean distance over its pairs, which is not
            differentiated. It makes the score independent of the channel's scale.

    Returns:
        float32 (C,), at least 0, differentiable in the maps (float64 if they are); NaN, without a gradient, where all
        images are the same to the channel.

    Raises:
        ShapeError: the maps are not (n, C, H, W) or (n, C), or there is not one group per image.
        DataError: the known groups are fewer than two, or no two images are of one group.
        ConfigError: the temperature is not 1e-6 to 1e6.

    Example:
        Features 0, 0 of one group and 1, 1 of another, T = 1: every image has its partner at 0 and two at 1, so the
        score is −log(1 / (1 + 2/e)) = 0.5514.
    """
    if temperature != "auto" and not LEAST_TEMPERATURE <= temperature <= MOST_TEMPERATURE:
        raise ConfigError(
            f"temperature is {temperature}; use a number above 0, from {LEAST_TEMPERATURE:g} to "
            f"{MOST_TEMPERATURE:g}, or auto"
        )
    maps, sizes = _by_group(maps, groups)
    features = maps.flatten(2) if maps.ndim > 2 else maps[:, :, None]
    if feature == "mean":
        features = features.mean(dim=2, keepdim=True, dtype=torch.float64)  # float32 may round away how they differ
    with torch.autocast(maps.device.type, enabled=False):  # which would take the distances in 8 bits of precision
        parts = [_chunk_snnl(part, sizes, distance, temperature) for part in _chunks(features)]
    return torch.cat(parts).to(maps.dtype) if parts else maps.new_zeros(0)


def _by_group(maps: Tensor, groups: Tensor) -> tuple[Tensor, list[int]]:
    """The images of known group, one group after the other, in float32 or float64, and the groups' sizes."""
    if maps.ndim not in (2, 4):
        raise ShapeError(
            f"maps must be (images, channels, height, width) or (images, channels), got {tuple(maps.shape)}"
        )
    if groups.shape != maps.shape[:1]:
        raise ShapeError(f"groups must be one number per image, got {tuple(groups.shape)} for {len(maps)} images")
    ordered, rows = groups.sort(stable=True)
    sizes = ordered[ordered >= 0].unique_consecutive(return_counts=True)[1].tolist()
    if len(sizes) < 2 or max(sizes) < 2:
        raise DataError(
            f"a batch of {sum(sizes)} images of known group holds {len(sizes)} groups, of {sizes} images; "
            "nearest neighbours need two groups, and two images of one"
        )
    chosen = maps[rows[len(rows) - sum(sizes) :]]
    return (chosen if chosen.dtype == torch.float64 else chosen.float()), sizes


def _chunks(features: Tensor) -> Iterator[Tensor]:
    """(n, C, D) as (c, n, D) of a few channels c each."""
    n, channels, size = features.shape
    at_once = max(1, _CHUNK_VALUES["cuda" if features.is_cuda else "cpu"] // (n * max(n, size)))
    for first in range(0, channels, at_once):
        yield features[:, first : first + at_once].transpose(0, 1).contiguous()


def _chunk_snnl(features: Tensor, sizes: Sequence[int], distance: Distance, temperature: Temperature) -> Tensor:
    """(c, n, D) features, one group after the other, to (c,) scores.

    An image's losses are differences of logarithms of sums over its row, so log_softmax takes off the denominator's.
    Squares of float32 leave its range below 1e-19 and above 1e19, so distances are of features in units of the
    channel's largest, a constant that cancels in d/T.
    """
    low, high = features.detach().aminmax(dim=1)
    constant = is_constant(low, high)
    unit = torch.maximum(low.abs(), high.abs()).amax(dim=1)
    unit = unit.masked_fill(unit == 0, 1.0)
    features = features / unit[:, None, None]
    if distance == "squared":
        likeness, spread = _squared_likeness(features, temperature, unit)
    else:
        likeness, spread = _cosine_likeness(features, temperature)
    dead = constant | (spread <= TELLS_APART**2) if distance == "cosine" else constant
    shares = likeness.log_softmax(dim=2)
    ends = itertools.accumulate(sizes)
    spans = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True) if size > 1]
    losses = torch.cat([shares[:, span, span].logsumexp(dim=2) for span in spans], dim=1)
    return -losses.mean(dim=1).masked_fill(dead, math.nan)


def is_constant(low: Tensor, high: Tensor) -> Tensor:
    """Bool (…): whether the least and greatest features (…, D) of some images are the same, but for rounding."""
    return ((high - low) <= TELLS_APART * torch.maximum(low.abs(), high.abs())).all(dim=-1)


def _squared_likeness(features: Tensor, temperature: Temperature, unit: Tensor) -> tuple[Tensor, Tensor]:
    """(c, n, D) to −|f_i − f_j|²/T but for a constant of each row, −∞ where i = j, (c, n, n); and the mean distances.

    The features and the distances are in units (c,) of the temperature's.

    −|f_i − f_j|² = 2 f_i·f_j − |f_j|² − |f_i|², of which the last is the row's constant and the others one product of
    matrices, with |f_j|² as one more feature. Norms have digits that distances have not, so the channel's mean map is
    taken off first: it cancels in the difference, and what is left is of the distances' size. Then Σ_ij |f_i − f_j|² =
    2n Σ_i |f_i|².
    """
    n = features.shape[1]
    centred = features - features.mean(dim=1, keepdim=True)
    squares = centred.square().sum(dim=2, keepdim=True)
    spread = 2.0 * squares.detach().sum(dim=(1, 2)) / (n - 1)
    rate = _rate(spread, temperature, unit)
    left = torch.cat([centred * (2.0 * rate), (-rate).expand(-1, n, 1)], dim=2)
    right = torch.cat([centred, squares], dim=2)
    return torch.baddbmm(_not_itself(features), left, right.mT), spread


def _cosine_likeness(features: Tensor, temperature: Temperature) -> tuple[Tensor, Tensor]:
    """(c, n, D) to −(1 − cos(f_i, f_j))/T, −∞ where i = j, (c, n, n); and the mean distances.

    1 − cos is ½|u_i − u_j|² of the directions u, which keeps the digits of small angles; 1 where one is all zeros.
    """
    n = features.shape[1]
    squares = features.square().sum(dim=2, keepdim=True)
    none = squares == 0
    directions = features / squares.masked_fill(none, 1.0).sqrt()  # a root of 0 has no derivative
    centred = directions - directions.mean(dim=1, keepdim=True)
    halves = 0.5 * centred.square().sum(dim=2, keepdim=True)
    distances = (halves + halves.mT - centred @ centred.mT).clamp_min(0.0).masked_fill(none | none.mT, 1.0)
    spread = (distances.detach().sum(dim=(1, 2)) - distances.detach().diagonal(dim1=1, dim2=2).sum(dim=1)) / (
        n * (n - 1)
    )
    return _not_itself(features) - distances * _rate(spread, temperature, torch.ones_like(spread)), spread


def _rate(spread: Tensor, temperature: Temperature, unit: Tensor) -> Tensor:
    """1/T of each channel, (c, 1, 1), for distances in squares of its unit (c,); 1 where the mean distance is 0."""
    if temperature == "auto":
        rate = 1.0 / spread.masked_fill(spread <= 0, 1.0)
    else:
        rate = (unit.double().square() / temperature).clamp_max(_MOST_RATE).to(spread.dtype)
    return rate[:, None, None]


def _not_itself(features: Tensor) -> Tensor:
    """(n, n), −∞ where an image meets itself, otherwise 0; of the features' kind."""
    n = features.shape[1]
    return features.new_full((n,), -math.inf).diag()
