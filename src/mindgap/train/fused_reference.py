"""The sums and maps of a fused batch norm in plain PyTorch: what the compiled ones are checked against, bit for bit.

``fused_norm.cpp`` says the same and is fast. This is slow, and stands in for it where no compiler is found, so that a
search goes on there with the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
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
class Affine:
    """A batch norm as numbers: vectors (C,) of the type that maps are computed in; running statistics are changed."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    eps: float
    momentum: float


@dataclass(frozen=True, eq=False)
class Normalised:
    """How a map was normalised and activated, act(x·scale + shift), which its gradients need.

    Attributes:
        wide: float64 (4, C): mean, biased variance, 1/√(variance + ε) and scale.
        narrow: (3, C) of the type that maps are computed in: mean, scale and shift.
        act: the activation.
    """

    wide: Tensor
    narrow: Tensor
    act: Act


@dataclass(frozen=True, eq=False)
class Gradients:
    """Gradients of the map x (None if not asked for), weight, bias, and the residual (None without an output)."""

    x: Tensor | None
    weight: Tensor
    bias: Tensor
    before: Tensor | None


class Operations(Protocol):
    """A fused batch norm over maps (R, C)."""

    def forward(self, x: Tensor, residual: Tensor | None, norm: Affine, *, act: Act, out: Tensor) -> Normalised:
        """Writes act(x·scale + shift + residual) to ``out``."""
        ...

    def backward(
        self, x: Tensor, gradient: Tensor, output: Tensor | None, norm: Normalised, *, wants_x: bool
    ) -> Gradients:
        """The gradients; what passed the activation is seen from the output if given, else from x·scale + shift."""
        ...


class PlainOperations:
    """The passes in PyTorch."""

    def forward(self, x: Tensor, residual: Tensor | None, norm: Affine, *, act: Act, out: Tensor) -> Normalised:
        """See ``Operations``."""
        mean, variance = _moments(x)
        # numpy's root is rounded as IEEE 754 says, as that of C++ is; torch's can be off in the last bit.
        inverse = 1.0 / torch.from_numpy(np.sqrt((variance + norm.eps).numpy()))
        scale = norm.weight.double() * inverse
        shift = norm.bias.double() - mean * scale
        narrow = torch.stack([mean, scale, shift]).to(wide_type(x.dtype))
        for running, new in ((norm.running_mean, mean), (norm.running_var, variance * (len(x) / (len(x) - 1)))):
            running.add_((new.to(running.dtype) - running) * norm.momentum)
        value = x.to(narrow.dtype) * narrow[1] + narrow[2]
        if residual is not None:
            value = value + residual.to(value.dtype)
        if act != "plain":
            value = value.clamp(0.0, _TOP[act])
        out.copy_(value)
        return Normalised(torch.stack([mean, variance, inverse, scale]), narrow, act)

    def backward(
        self, x: Tensor, gradient: Tensor, output: Tensor | None, norm: Normalised, *, wants_x: bool
    ) -> Gradients:
        """See ``Operations``."""
        _, _, inverse, scale = norm.wide
        mean, narrow_scale, shift = norm.narrow
        wide = x.to(mean.dtype)
        judged = wide * narrow_scale + shift if output is None else output.to(wide.dtype)
        passed, off = _masked(gradient.to(wide.dtype), judged, norm.act), wide - mean
        cut = Cut.of(x)
        plain, weighted = (_total(_piece_sums(values, cut).double()) for values in (passed, passed * off))
        of_weight, to_x = weighted * inverse, None
        if wants_x:
            slope, constant = -(scale * inverse * of_weight / len(x)), -(scale * plain / len(x))
            to_x = ((passed * narrow_scale + off * slope.to(wide.dtype)) + constant.to(wide.dtype)).to(x.dtype)
        before = None if output is None else passed.to(x.dtype)
        return Gradients(to_x, of_weight.to(wide.dtype), plain.to(wide.dtype), before)


def wide_type(dtype: torch.dtype) -> torch.dtype:
    """The type that maps of a type are computed in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def agree(one: Operations, other: Operations) -> bool:
    """Whether two implementations give the same bits on some small maps."""
    generator = torch.Generator().manual_seed(0)
    acts: dict[Act, torch.dtype] = {"relu6": torch.float32, "relu": torch.bfloat16}
    for act, dtype in acts.items():
        x, gradient, residual = (4 * torch.randn(3, 700, 24, generator=generator)).to(dtype)
        vectors = torch.rand(4, 24, generator=generator)
        for added in (None, residual):
            results = [everything(made, x, gradient, added, vectors, act=act) for made in (one, other)]
            if not all(torch.equal(ours, theirs) for ours, theirs in zip(*results, strict=True)):
                return False
    return True


def everything(
    passes: Operations, x: Tensor, gradient: Tensor, residual: Tensor | None, vectors: Tensor, *, act: Act
) -> list[Tensor]:
    """All that comes out of a forward and a backward pass over maps (R, C) and vectors (4, C)."""
    weight, bias, running_mean, running_var = vectors.clone()
    norm, out = Affine(weight, bias, running_mean, running_var, eps=1e-5, momentum=0.1), torch.empty_like(x)
    made = passes.forward(x, residual, norm, act=act, out=out)
    gradients = passes.backward(x, gradient, None if residual is None else out, made, wants_x=True)
    found = (made.wide, made.narrow, out, running_mean, running_var, *vars(gradients).values())
    return [tensor for tensor in found if tensor is not None]


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over the rows, float64 (C,)."""
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
