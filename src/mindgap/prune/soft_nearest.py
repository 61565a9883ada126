"""Soft nearest neighbour loss of every channel of a layer: how far apart images of one group lie in it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mindgap.core.errors import ConfigError, DataError, ShapeError

Feature = Literal["map", "mean"]
Distance = Literal["squared", "cosine"]
Temperature = float | Literal["auto"]

_CHUNK_VALUES = 1 << 20
"""Values of a chunk's distances or features, the larger; 4 MB stay in a processor's cache and launch few kernels."""
_TELLS_APART = 1e-6
"""Relative spread under which float32 cannot tell two images apart."""


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Which images are neighbours of which.

    Attributes:
        others: bool (n, n), pairs of two different images.
        within: bool (n, n), pairs of two images of one group; all others of an image alone in its group, whose
            logarithm is then of 1 and counts nothing.
        counted: 0-dimensional, images that are not alone in their group.
    """

    others: Tensor
    within: Tensor
    counted: Tensor

    @classmethod
    def of(cls, groups: Tensor) -> _Pairs:
        """The pairs of images of these known groups, int64 (n,)."""
        others = ~_diagonal(groups[:, None])
        same = (groups[:, None] == groups) & others
        accompanied = same.any(dim=1, keepdim=True)
        return cls(others, same | (others & ~accompanied), accompanied.sum())


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
        temperature: T, or ``auto``: each channel's mean distance over its pairs, which is not differentiated. It makes
            the score independent of the channel's scale.

    Returns:
        float32 (C,), at least 0, differentiable in the maps (float64 if they are); NaN, without a gradient, where all
        images are the same to the channel.

    Raises:
        ShapeError: the maps are not (n, C, H, W) or (n, C), or there is not one group per image.
        DataError: the known groups are fewer than two, or no two images are of one group.
        ConfigError: the temperature is not above 0.

    Example:
        Features 0, 0 of one group and 1, 1 of another, T = 1: every image has its partner at 0 and two at 1, so the
        score is −log(1 / (1 + 2/e)) = 0.5514.
    """
    if temperature != "auto" and not (math.isfinite(temperature) and temperature > 0):
        raise ConfigError(f"temperature is {temperature}; use a number above 0, or auto")
    maps, groups = _known(maps, groups)
    features = maps.flatten(2) if maps.ndim > 2 else maps[:, :, None]
    if feature == "mean":
        features = features.mean(dim=2, keepdim=True, dtype=torch.float64)  # float32 may round away how they differ
    pairs = _Pairs.of(groups)
    parts = [_chunk_snnl(part, pairs, distance, temperature) for part in _chunks(features)]
    return torch.cat(parts).to(maps.dtype) if parts else maps.new_zeros(0)


def _known(maps: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """The images of known group, in float32 or float64, and their groups."""
    if maps.ndim not in (2, 4):
        raise ShapeError(
            f"maps must be (images, channels, height, width) or (images, channels), got {tuple(maps.shape)}"
        )
    if groups.shape != maps.shape[:1]:
        raise ShapeError(f"groups must be one number per image, got {tuple(groups.shape)} for {len(maps)} images")
    rows = (groups >= 0).nonzero()[:, 0]
    groups = groups[rows]
    sizes = groups.unique(return_counts=True)[1]
    if len(sizes) < 2 or sizes.max() < 2:
        raise DataError(
            f"a batch of {len(groups)} images of known group holds {len(sizes)} groups, of {sizes.tolist()} images; "
            "nearest neighbours need two groups, and two images of one"
        )
    return (maps if maps.dtype == torch.float64 else maps.float())[rows], groups


def _chunks(features: Tensor) -> Iterator[Tensor]:
    """(n, C, D) as (c, n, D) of a few channels c each."""
    n, channels, size = features.shape
    at_once = max(1, _CHUNK_VALUES // (n * max(n, size)))
    for first in range(0, channels, at_once):
        yield features[:, first : first + at_once].transpose(0, 1)


def _chunk_snnl(features: Tensor, pairs: _Pairs, distance: Distance, temperature: Temperature) -> Tensor:
    """(c, n, D) features of c channels to (c,) scores."""
    n = len(pairs.others)
    dead = is_constant(*features.detach().aminmax(dim=1))
    distances = (_squared if distance == "squared" else _cosine)(features)
    spread = distances.detach().sum(dim=(1, 2)) / (n * (n - 1))
    if distance == "cosine":
        dead = dead | (spread <= _TELLS_APART**2)
    scale = spread.masked_fill(dead, 1.0) if temperature == "auto" else torch.full_like(spread, temperature)
    likeness = distances / -scale[:, None, None]
    among = likeness.masked_fill(~pairs.others, -math.inf).logsumexp(dim=2)
    within = likeness.masked_fill(~pairs.within, -math.inf).logsumexp(dim=2)
    scores = (among - within).sum(dim=1) / pairs.counted
    return scores.masked_fill(dead, math.nan)


def is_constant(low: Tensor, high: Tensor) -> Tensor:
    """Bool (…): whether the least and greatest features (…, D) of some images are the same, but for rounding."""
    return ((high - low) <= _TELLS_APART * torch.maximum(low.abs(), high.abs())).all(dim=-1)


def _squared(features: Tensor) -> Tensor:
    """(c, n, D) to |f_i − f_j|², (c, n, n).

    |f_i|² + |f_j|² − 2 f_i·f_j loses the digits that the norms have and the distances have not, so the channel's mean
    map is taken off first: it cancels in the difference, and what is left is of the distances' size.
    """
    centred = features - features.mean(dim=1, keepdim=True)
    norms = centred.square().sum(dim=2)
    return (norms[:, :, None] + norms[:, None, :] - 2.0 * (centred @ centred.mT)).clamp_min(0.0)


def _cosine(features: Tensor) -> Tensor:
    """(c, n, D) to 1 − cos(f_i, f_j), (c, n, n), as ½|u_i − u_j|² of the directions u; 1 where one is all zeros."""
    squares = features.square().sum(dim=2, keepdim=True)
    none = squares == 0
    lengths = squares.masked_fill(none, 1.0).sqrt()  # a root of 0 has no derivative
    undefined = (none | none.mT) & ~_diagonal(none)
    return (0.5 * _squared(features / lengths)).masked_fill(undefined, 1.0)


def _diagonal(like: Tensor) -> Tensor:
    """Bool (n, n), true for the pairs of an image with itself."""
    return torch.eye(like.shape[-2], dtype=torch.bool, device=like.device)
