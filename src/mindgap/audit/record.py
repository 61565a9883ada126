"""The records of an audit: V, a value with its interval, and G, a gap with its noise floor."""

from __future__ import annotations

import math
from typing import Any

from mindgap.metrics.counts import Floats
from mindgap.metrics.interval import interval
from mindgap.metrics.metric import AbstractMetric
from mindgap.metrics.noise_floor import noise_floor

Record = dict[str, Any]


def value_record(
    metric: AbstractMetric, value: float, *, replicates: Floats, distances: Floats, n: int, reason: str
) -> Record:
    """V = {value, low, high, n, reason}: what is undefined is None, and the reason says why.

    Args:
        metric: whose value it is.
        value: the observed value, NaN if undefined.
        replicates: float64 (R,), its bootstrap replicates, for a percentile interval.
        distances: float64 (R,), the replicates' distances from the observed sample, for a pivot.
        n: rows the value rests on.
        reason: why the value is undefined, used only if it is.
    """
    low, high, no_interval = interval(
        metric.interval, value, replicates=replicates, distances=distances, limits=metric.range
    )
    why = reason if math.isnan(value) else no_interval
    return {"value": _number(value), "low": _number(low), "high": _number(high), "n": n, "reason": why}


def gap_record(record: Record, metric: AbstractMetric, value: float, *, permuted: Floats) -> Record:
    """G = V + {noise_mean, noise_p95, p_value}, from the permuted values, float64 (P,)."""
    mean, tail, p_value = noise_floor(value, permuted, direction=metric.direction)
    return record | {"noise_mean": _number(mean), "noise_p95": _number(tail), "p_value": _number(p_value)}


def undefined_gap(reason: str, *, n: int) -> Record:
    """A gap that is undefined as a whole."""
    empty = dict.fromkeys(("value", "low", "high"))
    return {**empty, "n": n, "reason": reason, **dict.fromkeys(("noise_mean", "noise_p95", "p_value"))}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
