"""How often each cluster is drawn in replicates of the bootstrap."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Integers

MANY_CLUSTERS = 4096
_TABLE = 2**16

Times = NDArray[np.int16]


def chunk_sizes(replicates: int, most: int) -> Iterator[int]:
    """Sizes of chunks of at most so many that add up to the replicates."""
    for start in range(0, replicates, most):
        yield min(most, replicates - start)


def draw_weights(strata: Integers, *, replicates: int, generator: np.random.Generator) -> Times:
    """How often each of K clusters is drawn, int16 (K, r): with replacement, as many of each stratum as it has.

    Args:
        strata: int64 (K,), the stratum of every cluster.
        replicates: r.
        generator: source of the random numbers.
    """
    weights = np.empty((len(strata), replicates), dtype=np.int16)
    order = np.argsort(strata, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(strata[order])) + 1):
        draw = _draw_many if len(members) > MANY_CLUSTERS else _draw_few
        weights[members] = draw(len(members), replicates, generator)
    return weights


def _draw_few(size: int, replicates: int, generator: np.random.Generator) -> NDArray[np.int64]:
    picked = generator.integers(size, size=(replicates, size), dtype=np.int32)
    picked += np.arange(replicates, dtype=np.int32)[:, None] * np.int32(size)
    return np.bincount(picked.ravel(), minlength=replicates * size).reshape(replicates, size).T


def _draw_many(size: int, replicates: int, generator: np.random.Generator) -> Times:
    """Each cluster Poisson times, then the few draws still missing one by one; four times faster.

    Poisson numbers given their sum are multinomial, and so they are with the missing draws. Their mean lies so far
    under 1 that the sum is hardly ever over ``size``; such a replicate is drawn anew, which changes nothing as it
    depends on the sum alone. (A table of 2**16 entries holds the Poisson numbers, so chances are rounded by 8e-6.)
    """
    table = _poisson_table(1 - 4 / math.sqrt(size))
    weights = table[generator.integers(_TABLE, size=(size, replicates), dtype=np.uint16)]
    missing = size - weights.sum(axis=0, dtype=np.int64)
    while (over := np.flatnonzero(missing < 0)).size:
        weights[:, over] = table[generator.integers(_TABLE, size=(size, len(over)), dtype=np.uint16)]
        missing[over] = size - weights[:, over].sum(axis=0, dtype=np.int64)
    places = generator.integers(size, size=int(missing.sum())), np.repeat(np.arange(replicates), missing)
    np.add.at(weights, places, np.int16(1))
    return weights


def _poisson_table(mean: float) -> Times:
    """Poisson numbers in 65,536 equally likely places."""
    chances = [math.exp(-mean) * mean**k / math.factorial(k) for k in range(20)]
    ends = np.round(np.cumsum(chances) * _TABLE).astype(np.int64)
    return np.searchsorted(ends, np.arange(_TABLE), side="right").astype(np.int16)
