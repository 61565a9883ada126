"""How often each cluster is drawn in replicates of the bootstrap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Integers


def draw_weights(strata: Integers, *, replicates: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """How often each of K clusters is drawn, float32 (K, r): with replacement, as many of each stratum as it has.

    Args:
        strata: int64 (K,), the stratum of every cluster.
        replicates: r.
        generator: source of the random numbers.
    """
    weights = np.empty((len(strata), replicates), dtype=np.float32)
    order = np.argsort(strata, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(strata[order])) + 1):
        size = len(members)
        picked = generator.integers(size, size=(replicates, size), dtype=np.int32)
        picked += np.arange(replicates, dtype=np.int32)[:, None] * np.int32(size)
        times = np.bincount(picked.ravel(), minlength=replicates * size).reshape(replicates, size)
        weights[members] = times.T
    return weights
