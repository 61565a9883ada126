"""How figures of focus are resampled and recorded: V, a value with its interval, and G, a gap with its noise floor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindgap.metrics.counts import Floats, Integers
from mindgap.metrics.interval import MIN_CLUSTERS, interval, no_bounds
from mindgap.metrics.metric import IntervalKind
from mindgap.metrics.noise_floor import noise_floor

Record = dict[str, Any]

AT_ONCE = 128
"""Replicates that are computed together."""


@dataclass(frozen=True)
class FocusOptions:
    """How means of focus are resampled.

    Attributes:
        bootstrap: replicates behind each interval.
        permutations: permutations behind each noise floor.
        seed: of both.
    """

    bootstrap: int = 2000
    permutations: int = 1000
    seed: int = 0


def value_record(
    value: float,
    moved: Floats,
    *,
    kind: IntervalKind,
    limits: tuple[float, float],
    n: int,
    reason: str,
    doubt: str | None,
) -> Record:
    """V = {value, low, high, n, reason}; what is undefined is None, and the reason says why.

    Args:
        value: the observed value, NaN if undefined.
        moved: float64 (R,), its bootstrap replicates, or for a norm pivot their distances from it.
        kind: of the interval.
        limits: smallest and largest value that there can be.
        n: what the value rests on.
        reason: why it is undefined, used only if it is.
        doubt: why there can be no interval; None if there can.
    """
    bounds = interval(kind, value, replicates=moved, distances=moved, limits=limits)
    low, high, no_interval = no_bounds(doubt) if doubt and len(moved) else bounds
    why = reason if math.isnan(value) else no_interval
    return {"value": _number(value), "low": _number(low), "high": _number(high), "n": n, "reason": why}


def with_floor(record: Record, value: float, permuted: Floats) -> Record:
    """G = V + {noise_mean, noise_p95, p_value}, larger being worse, from the permuted values, float64 (P,)."""
    mean, tail, p_value = noise_floor(value, permuted, direction="smaller")
    if math.isnan(mean) and not math.isnan(value):
        no_floor = "no noise floor: no permutations were asked for"
        record = record | {"reason": f"{record['reason']}; {no_floor}" if record["reason"] else no_floor}
    return record | {"noise_mean": _number(mean), "noise_p95": _number(tail), "p_value": _number(p_value)}


def few_clusters(who: str, clusters: int) -> str | None:
    """Why images of so many clusters have no interval; None if they can have one."""
    if clusters >= MIN_CLUSTERS:
        return None
    return f"no interval: {who} has {clusters} cluster{'s' if clusters != 1 else ''}"


def tally(places: Integers, *, size: int, weights: Floats | None = None) -> Floats:
    """How often each place in 0..size-1 occurs, float64 (size,), or the sum of its weights."""
    return np.bincount(places, weights=weights, minlength=size).astype(np.float64)


def ratios(totals: Floats, counts: Floats) -> Floats:
    """Means, NaN where nothing was counted."""
    return np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
