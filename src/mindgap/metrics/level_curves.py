"""ROC curves of many replicates at once, from numbers of positives and negatives at score levels.

Curves lie one behind the other (those of the groups, and of the rest of each), so that a few large steps do for all of
them. A curve is known at 128 midpoints of the false positive rate, where it is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, Integers, divide

GRID = 128
_BLOCK = 64
_BATCH = 2**16
_WHOLE_IN_SINGLE = 2**24

Single = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LevelCounts:
    """Positives and negatives at the levels of several curves.

    Attributes:
        positives: (N, r) numbers of any type, highest score first within a curve; r replicates.
        negatives: (N, r).
        starts: int64 (curves + 1,), where the levels of each curve begin.
    """

    positives: NDArray[Any]
    negatives: NDArray[Any]
    starts: Integers

    def batches(self) -> Iterator[LevelCounts]:
        """As many curves at a time as the processor's cache holds, at least one."""
        most, n_curves, first = max(1, _BATCH // max(1, self.positives.shape[1])), len(self.starts) - 1, 0
        while first < n_curves:
            start = int(self.starts[first])
            after = int(np.searchsorted(self.starts, start + most, side="right")) - 1
            after = min(max(after, first + 1), n_curves)
            end = int(self.starts[after])
            starts = self.starts[first : after + 1] - start
            yield LevelCounts(self.positives[start:end], self.negatives[start:end], starts)
            first = after

    def with_rests(self, compared: NDArray[np.bool_]) -> LevelCounts:
        """The same with the curves of each group's rest behind, of the groups compared, bool (G,).

        Every curve must have the same levels.
        """
        n_curves, replicates = len(self.starts) - 1, self.positives.shape[1]
        both: list[NDArray[Any]] = []
        for part in (self.positives, self.negatives):
            groups = part.reshape(n_curves, -1, replicates)
            wide = groups if groups.dtype == np.float64 else groups.astype(np.float32)
            both.append(np.concatenate([wide, wide[compared].sum(axis=0) - wide]).reshape(-1, replicates))
        return LevelCounts(both[0], both[1], np.append(self.starts, self.starts[1:] + self.starts[-1]))


def auroc_of_levels(counts: LevelCounts) -> Floats:
    """AUROC, float64 (r, curves), NaN where a replicate lacks positives or negatives."""
    found: list[Floats] = []
    for part in counts.batches():
        positives, negatives = _as_floats(part)
        before, n_positive = _before(positives, part.starts)
        found.append(_auroc(positives, negatives, before, n_positive * _totals(negatives, part.starts), part.starts))
    return np.ascontiguousarray(np.concatenate(found).T)


def curves_of_levels(counts: LevelCounts, out: Single) -> Floats:
    """``auroc_of_levels``; the true positive rates at the midpoints, float32 (curves, 128, r), go into ``out``."""
    found: list[Floats] = []
    begin = 0
    for part in counts.batches():
        end = begin + len(part.starts) - 1
        found.append(_curves(part, out[begin:end]))
        begin = end
    return np.ascontiguousarray(np.concatenate(found).T)


def _curves(counts: LevelCounts, out: Single) -> Floats:
    (positives, negatives), starts = _as_floats(counts), counts.starts
    right, n_positive = _before(positives, starts)
    wrong, n_negative = _before(negatives, starts)
    if not len(right):
        out[:] = np.nan
        return np.full(n_positive.shape, np.nan)
    level, x = _levels_on_grid(wrong + negatives, n_negative, starts)
    slope = positives / np.maximum(negatives, 1)
    x -= np.take(wrong, level)
    x *= np.take(slope, level)
    x += np.take(right, level)
    x /= np.where((n_positive > 0) & (n_negative > 0), n_positive, np.nan)[:, None]
    out[:] = x
    return _auroc(positives, negatives, right, n_positive.astype(np.float64) * n_negative, starts)


def running_totals(values: NDArray[Any]) -> NDArray[Any]:
    """Cumulated sums along the first axis of (N, r), after a row of zeros: by blocks, ten times faster than ``cumsum``.

    Whole numbers stay exact: in single precision up to 2**24, in double precision beyond.
    """
    levels, replicates = values.shape
    blocks = -(-levels // _BLOCK)
    padded = np.zeros((blocks * _BLOCK, replicates), dtype=values.dtype)
    padded[:levels] = values
    within = np.tri(_BLOCK, dtype=values.dtype) @ padded.reshape(blocks, _BLOCK, replicates)
    within[1:] += np.cumsum(within[:-1, -1], axis=0)[:, None]
    totals = np.zeros((levels + 1, replicates), dtype=values.dtype)
    totals[1:] = within.reshape(-1, replicates)[:levels]
    return totals


def _as_floats(counts: LevelCounts) -> tuple[NDArray[Any], NDArray[Any]]:
    """Positives and negatives in single precision where their totals are exact in it, else in double."""
    parts = counts.positives, counts.negatives
    most = max(float(part.sum(axis=0, dtype=np.float64).max(initial=0)) for part in parts)
    kind = np.float32 if most < _WHOLE_IN_SINGLE else np.float64
    return parts[0].astype(kind, copy=False), parts[1].astype(kind, copy=False)


def _before(values: NDArray[Any], starts: Integers) -> tuple[NDArray[Any], NDArray[Any]]:
    """What lies at higher levels of the same curve, (N, r), and all of each curve, (curves, r)."""
    totals = running_totals(values)
    begin, before = totals[starts], totals[:-1]
    if len(starts) > 2:
        before -= np.repeat(begin[:-1], np.diff(starts), axis=0)
    return before, np.diff(begin, axis=0)


def _totals(values: NDArray[Any], starts: Integers) -> Floats:
    """The sum over each curve's levels, float64 (curves, r)."""
    ends = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    return np.stack([values[start:end].sum(axis=0, dtype=np.float64) for start, end in ends])


def _auroc(
    positives: NDArray[Any], negatives: NDArray[Any], before: NDArray[Any], pairs: Floats, starts: Integers
) -> Floats:
    # a negative is beaten by the positives of higher levels, and by half of those of its own
    beaten = np.multiply(negatives, before + positives / 2, dtype=np.float64)
    return divide(_totals(beaten, starts), pairs)


def _levels_on_grid(ends: NDArray[Any], n_negative: NDArray[Any], starts: Integers) -> tuple[Integers, NDArray[Any]]:
    """The level among whose negatives each midpoint falls, as its place in the raveled (N, r), and its negatives.

    A curve rises evenly over the negatives of a level, so the level is as many as end at or before the midpoint.

    Args:
        ends: (N, r), negatives up to the end of each level.
        n_negative: (curves, r), all negatives.
        starts: int64 (curves + 1,).

    Returns:
        int64 and floating (curves, 128, r) each.
    """
    replicates = int(ends.shape[1])
    lengths, column = np.diff(starts), np.arange(replicates)
    total = np.maximum(n_negative, 1)
    curve = np.repeat(np.arange(len(lengths)), lengths)
    first = np.ceil(ends * np.asarray(GRID / total)[curve] - 0.5)  # the midpoint that a level's end lies at or before
    ended: Integers = first.astype(np.int64)
    np.minimum(ended, GRID, out=ended)
    ended += curve[:, None] * (GRID + 1)
    ended *= replicates
    ended += column
    passed = np.bincount(ended.ravel(), minlength=len(lengths) * (GRID + 1) * replicates)
    level: Integers = np.cumsum(passed.reshape(len(lengths), GRID + 1, replicates)[:, :GRID], axis=1)
    np.minimum(level, np.maximum(lengths - 1, 0)[:, None, None], out=level)
    level += np.minimum(starts[:-1], len(ends) - 1)[:, None, None]
    level *= replicates
    level += column
    share = ((np.arange(GRID) + 0.5) / GRID).astype(total.dtype)
    return level, share[:, None] * total[:, None]
