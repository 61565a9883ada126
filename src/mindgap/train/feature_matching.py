"""What mitigations that compare groups' features have in common: which samples are compared, and how far apart."""

from __future__ import annotations

import torch
from torch import Tensor


def membership(numbers: Tensor, *, count: int) -> Tensor:
    """Which samples a class or group holds, float32 (K, B), 1 where it holds the sample.

    Args:
        numbers: int64 (B,) of classes or groups, none holding a -1; or multi-label (B, K) of 0 and 1: a label holds
            the samples in which it is 1, so that a sample may be in several or none.
        count: K.
    """
    if numbers.ndim == 2:
        return (numbers > 0.5).T.float()
    return (numbers[None, :] == torch.arange(count, device=numbers.device)[:, None]).float()


def squared_distances(points: Tensor) -> Tensor:
    """Squared Euclidean distances between all rows of a float (B, F), (B, B), at least 0.

    Taken about their mean: rounding then is that of the spread, not of the distance from the origin.

    Example:
        Rows (0, 0) and (3, 4) are 25 apart.
    """
    centred = points - points.detach().mean(dim=0)
    norms = (centred * centred).sum(dim=1)
    return (norms[:, None] + norms[None, :] - 2.0 * centred @ centred.T).clamp(min=0.0)
