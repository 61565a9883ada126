"""Few random directions around a trained head, for heads of too many weights to be searched one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mindgap.core.errors import ConfigError
from mindgap.core.seed import numpy_generator
from mindgap.tune.head import Floats

MOST_DIRECTIONS = 64
DENSE_FLOATS = 2**25
Kind = Literal["dense", "sparse"]


@dataclass(frozen=True, eq=False)
class Dense:
    """Directions that move every weight: float32 (k, D), orthonormal rows."""

    rows: Tensor

    def combined(self, z: Tensor) -> Tensor:
        """Float64 (P, D) of z (P, k)."""
        return (z.to(self.rows) @ self.rows).double()


@dataclass(frozen=True, eq=False)
class Sparse:
    """Directions of which each weight belongs to one: int64 (D,), which, and float64 (D,), its number there."""

    owner: Tensor
    values: Tensor

    def combined(self, z: Tensor) -> Tensor:
        """Float64 (P, D) of z (P, k)."""
        return z[:, self.owner] * self.values


@dataclass(frozen=True, eq=False)
class Subspace:
    """Heads start + spread ⊙ (z Q), z of k numbers, Q of k orthonormal random rows.

    Attributes:
        start: float64 (D,), the trained head, which is at z = 0.
        spread: float64 (D,), the scale of its dimensions.
        directions: Q.
        dim: their number, k.
    """

    start: Floats
    spread: Floats
    directions: Dense | Sparse
    dim: int

    @property
    def z_spread(self) -> Floats:
        """Float64 (k,), √(D/k) each: offsets are then on average as long as ones drawn in all D dimensions."""
        return np.full(self.dim, math.sqrt(len(self.start) / self.dim))

    def expand(self, z: Floats) -> Floats:
        """The heads, float64 (P, D), of offsets, float64 (P, k)."""
        moved = self.directions.combined(torch.from_numpy(np.ascontiguousarray(z, dtype=np.float64)))
        return self.start + self.spread * moved.numpy()


def random_subspace(
    start: Floats, spread: Floats, *, dim: int = MOST_DIRECTIONS, kind: Kind | None = None, seed: int = 0
) -> Subspace:
    """Random orthonormal directions around a head.

    Dense ones are the QR factor of a Gaussian matrix. Of sparse ones every weight belongs to one, with a random sign,
    so that they need no more memory than a head.

    Args:
        start: float64 (D,), the trained head.
        spread: float64 (D,), of its dimensions.
        dim: number of directions, at most 64 and at most D.
        kind: None is ``dense`` up to 2^25 numbers.
        seed: the directions depend on it and on nothing else.

    Raises:
        ConfigError: there cannot be so many directions.
    """
    size = len(start)
    if not 1 <= dim <= min(MOST_DIRECTIONS, size):
        raise ConfigError(f"subspace={dim}: need 1 to {min(MOST_DIRECTIONS, size)} directions for {size} weights")
    generator = numpy_generator("subspace", seed)
    if kind is None:
        kind = "dense" if dim * size <= DENSE_FLOATS else "sparse"
    if kind == "dense":
        rows = np.linalg.qr(generator.standard_normal((size, dim)))[0].T
        return Subspace(start, spread, Dense(torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32))), dim)
    owner = generator.permutation(size) % dim
    signs = np.where(generator.random(size) < 0.5, -1.0, 1.0)
    values = signs / np.sqrt(np.bincount(owner, minlength=dim))[owner]
    return Subspace(start, spread, Sparse(torch.from_numpy(owner), torch.from_numpy(values)), dim)
