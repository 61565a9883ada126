"""A share of the same rows, before and after, with the interval of its difference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindgap.audit.record import Record, few_clusters
from mindgap.metrics.interval import LEVEL, MIN_CLUSTERS, NO_WIDTH
from mindgap.metrics.paired_interval import UNMOVED

REPLICATES = 2000


def paired_share_difference(
    before: NDArray[np.float64], after: NDArray[np.float64], *, clusters: NDArray[np.int64], seed: int
) -> Record:
    """Mean of ``after`` less mean of ``before``, with the percentile interval of 2,000 resamples of whole clusters.

    Args:
        before: float64 (n,), 0 or 1.
        after: float64 (n,), of the same rows.
        clusters: int64 (n,), of each row.
        seed: of the resampling.

    Returns:
        ``value``, ``low``, ``high``, ``n``, ``first``, ``second`` and ``reason``; with fewer than five clusters, or
        where almost no resample moves it, there is no interval.

    Example:
        Of four rows one is 1 before and three are after: a difference of .5.
    """
    _, codes = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(codes).astype(np.float64)
    moved = np.bincount(codes, weights=after - before)
    first, second = float(before.mean()), float(after.mean())
    record = {"value": second - first, "low": None, "high": None, "n": len(before), "first": first, "second": second}
    if len(sizes) < MIN_CLUSTERS:
        return record | {"reason": few_clusters("the sample", len(sizes))}
    drawn = np.random.default_rng(seed).multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=REPLICATES)
    replicates = (drawn @ moved) / (drawn @ sizes)
    low, high = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    if high - low <= NO_WIDTH:
        return record | {"reason": UNMOVED}
    return record | {"low": low, "high": high, "reason": None}
