"""Heads as flat vectors: a whole swarm of them judged at once in matrix products, and back into the network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import ShapeError

Floats = NDArray[np.float64]
CHUNK_FLOATS = 2**23
"""Numbers held at a time for a swarm, 32 MiB: few enough for any machine, many enough for a fast matrix product."""


@dataclass(frozen=True)
class AbstractHead(ABC):
    """The shape of a head, and how flat vectors of it are used.

    Attributes:
        inputs: features it reads, F.
        outputs: logits it gives, C.
    """

    inputs: int
    outputs: int

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length of a vector, D."""

    @property
    @abstractmethod
    def floats_per_row(self) -> int:
        """Numbers that one head holds for one row while its logits are made."""

    @abstractmethod
    def logits(self, vectors: Tensor, features: Tensor) -> Tensor:
        """Logits (P, C, n) of P heads, (P, D), on n rows of features, (n, F); memory grows with P · n."""


@dataclass(frozen=True)
class LinearHead(AbstractHead):
    """A linear layer F → C; a vector is, per output, F weights and the bias: D = C(F + 1)."""

    @property
    def dim(self) -> int:
        """C(F + 1)."""
        return self.outputs * (self.inputs + 1)

    @property
    def floats_per_row(self) -> int:
        """Its logits."""
        return self.outputs

    def logits(self, vectors: Tensor, features: Tensor) -> Tensor:
        """One matrix product for all heads."""
        lines = vectors.reshape(-1, self.inputs + 1)
        found = torch.addmm(lines[:, -1:], lines[:, :-1], features.T)
        return found.view(len(vectors), self.outputs, len(features))


@dataclass(frozen=True)
class HiddenHead(AbstractHead):
    """FC → ReLU → FC, F → H → C; dropout does nothing in evaluation.

    A vector is, per hidden unit, F weights and the bias, then, per output, H weights and the bias:
    D = H(F + 1) + C(H + 1).

    Attributes:
        hidden: hidden units, H.
    """

    hidden: int

    @property
    def dim(self) -> int:
        """H(F + 1) + C(H + 1)."""
        return self.hidden * (self.inputs + 1) + self.outputs * (self.hidden + 1)

    @property
    def floats_per_row(self) -> int:
        """Its hidden units, and its logits."""
        return self.hidden + self.outputs

    def layers(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Weights with the bias last of both layers, (P, H, F + 1) and (P, C, H + 1)."""
        first, second = vectors.split([self.hidden * (self.inputs + 1), self.outputs * (self.hidden + 1)], dim=1)
        shapes = (self.hidden, self.inputs + 1), (self.outputs, self.hidden + 1)
        return first.unflatten(1, shapes[0]), second.unflatten(1, shapes[1])

    def logits(self, vectors: Tensor, features: Tensor) -> Tensor:
        """One matrix product for all hidden units of all heads, and one for each head's outputs."""
        first, second = self.layers(vectors)
        lines = first.reshape(-1, self.inputs + 1)
        units = torch.addmm(lines[:, -1:], lines[:, :-1], features.T).relu_()
        units = units.view(len(vectors), self.hidden, len(features))
        return torch.baddbmm(second[..., -1:], second[..., :-1], units)


def swarm_logits(
    head: AbstractHead, vectors: Tensor, features: Tensor, *, chunk_floats: int = CHUNK_FLOATS
) -> Iterator[tuple[slice, slice, Tensor]]:
    """The logits of a swarm, a part of the heads on a part of the rows at a time.

    They are those of one head after the other but for the rounding of float32.

    Args:
        head: the shape of all heads.
        vectors: float32 (P, D), on the features' device.
        features: float32 (n, F).
        chunk_floats: numbers held at a time.

    Yields:
        Which heads, which rows, and their logits, float32 (P', C, n').

    Raises:
        ShapeError: vectors or features do not fit the head.
    """
    if vectors.ndim != 2 or vectors.shape[1] != head.dim:
        raise ShapeError(f"heads must be (P, {head.dim}), got shape {tuple(vectors.shape)}; give one vector per head")
    if features.ndim != 2 or features.shape[1] != head.inputs:
        raise ShapeError(
            f"features must be (n, {head.inputs}), got shape {tuple(features.shape)}; use those of the head's network"
        )
    budget = max(1, chunk_floats // head.floats_per_row)
    heads_at_once = max(1, min(len(vectors), budget // min(_FEWEST_ROWS, max(1, len(features)))))
    rows_at_once = max(1, budget // heads_at_once)
    for begin in range(0, len(features), rows_at_once):
        rows = slice(begin, min(begin + rows_at_once, len(features)))
        for first in range(0, len(vectors), heads_at_once):
            heads = slice(first, min(first + heads_at_once, len(vectors)))
            with torch.no_grad():
                logits = head.logits(vectors[heads], features[rows])
            yield heads, rows, logits


_FEWEST_ROWS = 512  # with fewer rows at a time a matrix product of wide hidden layers reads its weights too often


def as_tensor(vectors: Floats, features: Tensor) -> Tensor:
    """float32 (P, D) of an optimiser's float64 points, where the features are."""
    return torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)).to(features.device)


def stacked(blocks: Sequence[tuple[HiddenHead, Floats, Sequence[int]]]) -> tuple[HiddenHead, Floats]:
    """Heads of some outputs each, with hidden units of their own, as one head for all outputs.

    Its hidden units are those of all heads in turn, and an output reads those of its head: the weights of the others
    are 0. So heads that were tuned apart are one FC → ReLU → FC.

    Args:
        blocks: each head's shape, its vector, float64 (D,), and the numbers of its outputs in the whole.

    Returns:
        The head of all hidden units and outputs, and its vector.

    Raises:
        ShapeError: the numbers are not those from 0 on, each once, or heads read different features.
    """
    numbers = [number for _, _, outputs in blocks for number in outputs]
    inputs = {head.inputs for head, _, _ in blocks}
    if sorted(numbers) != list(range(len(numbers))) or len(inputs) != 1:
        raise ShapeError(
            f"stacked heads must give each output once and read the same features, got outputs {numbers} of "
            f"{sorted(inputs)} features"
        )
    wide = HiddenHead(inputs.pop(), len(numbers), hidden=sum(head.hidden for head, _, _ in blocks))
    first, second = torch.zeros(wide.hidden, wide.inputs + 1), torch.zeros(wide.outputs, wide.hidden + 1)
    first, second = first.double(), second.double()
    begin = 0
    for head, vector, outputs in blocks:
        units, lines = (layer[0] for layer in head.layers(torch.from_numpy(vector)[None]))
        first[begin : begin + head.hidden] = units
        second[list(outputs), begin : begin + head.hidden] = lines[:, :-1]
        second[list(outputs), -1] = lines[:, -1]
        begin += head.hidden
    return wide, torch.cat([first.reshape(-1), second.reshape(-1)]).numpy()
