"""95 % intervals from bootstrap replicates.

* ``percentile``: quantiles of the replicates.
* ``norm_pivot``, for a gap s(v̂) that is a (semi)norm: c is the 95 % quantile of s(v* − v̂), and the interval is
  [max(0, s(v̂) − c), s(v̂) + c]; near equality it covers, percentiles do not.
  (With few clusters it is a little short, as any bootstrap: 93 % where the smallest group has 40 clusters of three.)
* ``log``, for a ratio min/max: its logarithm is minus a range, so the pivot is there: [x·e^(−c), min(1, x·e^c)].

A replicate in which the metric is undefined is left out; with more than half of them undefined there is no interval.
"""

from __future__ import annotations

import math

import numpy as np

from mindgap.metrics.counts import Floats
from mindgap.metrics.metric import IntervalKind

LEVEL = 0.95
MIN_DEFINED = 0.5

Bounds = tuple[float, float, str | None]


def percentile_interval(value: float, replicates: Floats) -> Bounds:
    """Quantiles .025 and .975 of the replicates, float64 (R,), widened to hold the value itself."""
    defined = replicates[~np.isnan(replicates)]
    if _too_few(defined, replicates):
        return _none(replicates)
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return min(low, value), max(high, value), None


def norm_pivot_interval(value: float, distances: Floats, *, limits: tuple[float, float]) -> Bounds:
    """[value − c, value + c] within the limits, c the 95 % quantile of the distances, float64 (R,)."""
    defined = distances[~np.isnan(distances)]
    if _too_few(defined, distances):
        return _none(distances)
    c = float(np.quantile(defined, LEVEL, method="higher"))
    return max(limits[0], value - c), min(limits[1], value + c), None


def log_interval(value: float, distances: Floats, *, limits: tuple[float, float]) -> Bounds:
    """[value·e^(−c), value·e^c] within the limits, c the 95 % quantile of the distances, float64 (R,)."""
    if value == 0:
        return math.nan, math.nan, "no interval on the log scale: a group's rate is 0"
    defined = distances[~np.isnan(distances)]
    if _too_few(defined, distances):
        return _none(distances)
    c = float(np.quantile(defined, LEVEL, method="higher"))
    with np.errstate(over="ignore"):
        return max(limits[0], value * math.exp(-c)), min(limits[1], value * float(np.exp(c))), None


def interval(
    kind: IntervalKind, value: float, *, replicates: Floats, distances: Floats, limits: tuple[float, float]
) -> Bounds:
    """The interval of that kind: low, high, and None or the reason why there is none (low and high are NaN)."""
    if math.isnan(value):
        return math.nan, math.nan, None
    if kind == "percentile":
        return percentile_interval(value, replicates)
    make = log_interval if kind == "log" else norm_pivot_interval
    return make(value, distances, limits=limits)


def _too_few(defined: Floats, replicates: Floats) -> bool:
    return len(defined) < max(1, MIN_DEFINED * len(replicates))


def _none(replicates: Floats) -> Bounds:
    if not len(replicates):
        return math.nan, math.nan, "no interval: no bootstrap was asked for"
    undefined = int(np.isnan(replicates).sum())
    return math.nan, math.nan, f"no interval: undefined in {undefined} of {len(replicates)} bootstrap replicates"
