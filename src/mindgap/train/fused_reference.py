"""The sums and maps of a fused batch norm in plain PyTorch: what the compiled ones are checked against, bit for bit.

``fused_norm.cpp`` says the same and is fast. This is slow, and stands in for it where no compiler is found, so that a
search goes on there with the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

Act = Literal["plain", "relu", "relu6"]
_PIECE, _VECTOR, _LEAST_TILE, _WIDE_CHANNELS = 8192, 16, 128, 256
_TOP = {"relu": math.inf, "relu6": 6.0}


@dataclass(frozen=True)
class Cut:
    """How a map of rows × channels is cut for its sums, in elements; ``tile`` and ``piece`` are whole rows."""

    size: int
    channels: int
    tile: int
    piece: int

    @classmethod
    def of(cls, rows: Tensor) -> Cut:
        """Tiles of whole vectors, at least 128 long, in pieces of about 8,192 elements; rows (R, C)."""
        channels = rows.shape[1]
        per_tile = 1
        if channels < _WIDE_CHANNELS:
            per_tile = _VECTOR // math.gcd(channels, _VECTOR)
            per_tile *= -(-_LEAST_TILE // (per_tile * channels))
        tile = per_tile * channels
        return cls(rows.numel(), channels, tile, tile * max(1, _PIECE // tile))

    @property
    def pieces(self) -> int:
        """Number of pieces; the last one may be shorter."""
        return -(-self.size // self.piece)


@dataclass(frozen=True, eq=False)
class Norm:
    """How a map is normalised and activated: act(x·scale + shift).

    Attributes:
        mean: (C,) of the map, which its gradients need.
        scale: (C,).
        shift: (C,).
        act: the activation.
    """

    mean: Tensor
    scale: Tensor
    shift: Tensor
    act: Act


class Operations(Protocol):
    """The four passes of a fused batch norm over maps (R, C), with vectors (C,) of the type they are computed in."""

    def forward_sums(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and biased variance over the rows, float64 (C,)."""
        ...

    def forward(self, x: Tensor, residual: Tensor | None, norm: Norm, *, out: Tensor) -> Tensor:
        """act(x·scale + shift + residual), (R, C), written to and returned as ``out``."""
        ...

    def backward_sums(
        self, x: Tensor, gradient: Tensor, output: Tensor | None, norm: Norm
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Σ g and Σ g·(x − mean), float64 (C,), for g the gradient before the activation; g itself with an output.

        What passed the activation is seen from the output where one is given, else from x·scale + shift.
        """
        ...

    def backward(self, x: Tensor, gradient: Tensor, norm: Norm, *, slope: Tensor, constant: Tensor) -> Tensor:
        """(g·scale + (x − mean)·slope) + constant, (R, C)."""
        ...


class PlainOperations:
    """The passes in PyTorch."""

    def forward_sums(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Operations``."""
        cut, wide = Cut.of(x), x.to(wide_type(x.dtype))
        sums = _piece_sums(wide, cut)
        counts = torch.full((cut.pieces, 1), cut.piece // cut.channels, dtype=torch.float64)
        counts[-1] = (cut.size - (cut.pieces - 1) * cut.piece) // cut.channels
        means = (sums / counts.to(sums.dtype)).repeat_interleave(cut.piece // cut.channels, dim=0)[: len(x)]
        differences = wide - means
        squares = _piece_sums(differences * differences, cut).double()
        mean = _total(sums.double()) / len(x)
        off = sums.double() / counts - mean
        return mean, _total(squares + counts * (off * off)) / len(x)

    def forward(self, x: Tensor, residual: Tensor | None, norm: Norm, *, out: Tensor) -> Tensor:
        """See ``Operations``."""
        value = x.to(norm.scale.dtype) * norm.scale + norm.shift
        if residual is not None:
            value = value + residual.to(value.dtype)
        if norm.act != "plain":
            value = value.clamp(0.0, _TOP[norm.act])
        return out.copy_(value)

    def backward_sums(
        self, x: Tensor, gradient: Tensor, output: Tensor | None, norm: Norm
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """See ``Operations``."""
        cut, wide = Cut.of(x), x.to(norm.scale.dtype)
        judged = wide * norm.scale + norm.shift if output is None else output.to(wide.dtype)
        passed = _masked(gradient.to(wide.dtype), judged, norm.act)
        sums, products = (_total(_piece_sums(values, cut).double()) for values in (passed, passed * (wide - norm.mean)))
        return sums, products, None if output is None else passed.to(x.dtype)

    def backward(self, x: Tensor, gradient: Tensor, norm: Norm, *, slope: Tensor, constant: Tensor) -> Tensor:
        """See ``Operations``."""
        wide = x.to(norm.scale.dtype)
        passed = _masked(gradient.to(wide.dtype), wide * norm.scale + norm.shift, norm.act)
        return ((passed * norm.scale + (wide - norm.mean) * slope) + constant).to(x.dtype)


def wide_type(dtype: torch.dtype) -> torch.dtype:
    """The type that maps of a type are computed in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def agree(one: Operations, other: Operations) -> bool:
    """Whether two implementations give the same bits on some small maps."""
    generator = torch.Generator().manual_seed(0)
    acts: dict[Act, torch.dtype] = {"relu6": torch.float32, "relu": torch.bfloat16}
    for act, dtype in acts.items():
        x, gradient, residual = (4 * torch.randn(3, 700, 24, generator=generator)).to(dtype)
        mean, scale, shift, slope, constant = torch.randn(5, 24, generator=generator)
        norm = Norm(mean, scale, shift, act)
        results = [
            (
                *made.forward_sums(x),
                made.forward(x, residual, norm, out=torch.empty_like(x)),
                *made.backward_sums(x, gradient, residual, norm),
                *made.backward_sums(x, gradient, None, norm),
                made.backward(x, gradient, norm, slope=slope, constant=constant),
            )
            for made in (one, other)
        ]
        pairs = [(a, b) for a, b in zip(*results, strict=True) if a is not None and b is not None]
        if not all(torch.equal(ours, theirs) for ours, theirs in pairs):
            return False
    return True


def _masked(gradient: Tensor, judged: Tensor, act: Act) -> Tensor:
    if act == "plain":
        return gradient
    return torch.where((judged <= 0) | (judged >= _TOP[act]), 0.0, gradient)


def _piece_sums(rows: Tensor, cut: Cut) -> Tensor:
    """Sums over the rows of every piece, (pieces, C): tile after tile, then row after row of the tile."""
    padded = rows.new_zeros(cut.pieces * cut.piece)
    padded[: cut.size] = rows.reshape(-1)
    tiles = padded.view(cut.pieces, -1, cut.tile)
    sums = torch.zeros_like(tiles[:, 0])
    for number in range(tiles.shape[1]):
        sums = sums + tiles[:, number]
    by_row = sums.view(cut.pieces, -1, cut.channels)
    total = by_row[:, 0]
    for number in range(1, by_row.shape[1]):
        total = total + by_row[:, number]
    return total


def _total(parts: Tensor) -> Tensor:
    """The sum over pieces, one after the other; float64 (pieces, C) to (C,)."""
    total = torch.zeros_like(parts[0])
    for part in parts:
        total = total + part
    return total
