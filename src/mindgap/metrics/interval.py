"""95 % intervals from bootstrap replicates.

* ``percentile``: quantiles of the replicates; ``bca`` in its place corrects them for bias and skewness (Efron 1987).
* ``norm_pivot``, for a gap s(v̂) that is a (semi)norm: c is the 95 % quantile of s(v* − v̂), and the interval is
  [max(0, s(v̂) − c), s(v̂) + c]; near equality it covers, percentiles do not. It ends at the largest value that the gap
  can have with these groups (``AbstractGapMetric.limits``: G − 1 for U, 1 for a range), which loses no cover.
  (With few clusters it is a little short, as any bootstrap: 93 % where the smallest group has 40 clusters of three.)
* ``log``, for a ratio min/max: its logarithm is minus a range, so the pivot is there: [x·e^(−c), min(1, x·e^c)].
* exact (Clopper and Pearson 1934), on clusters, for a rate of a group that is 0 or 1; for a rate of a class in a group
  on the effective number of rows (Korn and Graubard 1998), and for an accuracy too where under ten effective rows are
  wrong, or right. Simulated, in % of 400 samples each, rows of a cluster correlated by .3:

  clusters × rows    accuracy    percentiles    these
  10 × 1 to 6        .8          86             98
  30 × 1 to 6        .95         86             99
  100 × 1 to 6       .99         86             99
  300 × 1 to 6       .99         89             98
  40 × 20            .97         86             98
  20 × 50            .95         84             94
  100 × 50           .99         84             94
  10 × 100           .9          80             93

A replicate in which the metric is undefined is left out; with more than a tenth of them undefined there is no interval.
Nor is there one for a group of fewer than five clusters, or a gap that compares it: no method says anything then.
Nor for a mean over classes one of which has fewer than five clusters, or a gap that compares a class of which a group
has fewer. Its recall weighs as much as any and is 0 or 1 in nearly every replicate: of groups of 120 rows with recalls
of .9, .8 and .8, an interval holds the truth in 84, 74, 66 and 67 % of samples with 1, 2, 3 and 4 rows of the rarest
class, though a replicate that lost the class, and is a mean over the others, even widens it (400 samples; five rows
71 %, twelve 90 %). A gap's pivot has pseudo-clusters for such classes (``mindgap.metrics.pseudo_clusters``), which in
percentiles would move both ends to one side. Where every class has five clusters, such a replicate is of another
quantity, as it is for equalised odds, and left out as undefined: with several rare classes,
more than 2.5 % of the replicates are, and they would move the bound of a value that nothing else moves.
Nor is there one where 95 % of the replicates give one and the same value, as the balanced accuracy of one answer for
everyone: they vary nothing that the value rests on, and an interval without width would call it certain. (A group that
is all right or all wrong has a width, from its exact interval or its pseudo-cluster.)
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, cast

import numpy as np
from scipy import special  # pyright: ignore[reportMissingTypeStubs]  (scipy comes without types)

from mindgap.metrics.counts import Floats
from mindgap.metrics.metric import IntervalKind
from mindgap.metrics.share_spread import Share

LEVEL = 0.95
_UPPER = (1 + LEVEL) / 2
MIN_DEFINED = 0.9
MIN_CLUSTERS = 5
NO_WIDTH = 1e-12
"""Above the rounding of a rate, and far below what one row among millions moves it."""

FEW_ROWS = 10
"""Effective rows that are wrong, or right, under which percentiles of a share are too short."""

UNMOVED = "no interval: almost no resample moves this value"

Bounds = tuple[float, float, str | None]


def no_bounds(reason: str | None) -> Bounds:
    """No interval, and why."""
    return math.nan, math.nan, reason


def exact_interval(value: float, clusters: int) -> Bounds:
    """Clopper–Pearson bounds of a rate that is 0 or 1 in all of k clusters: [.025^(1/k), 1] or [0, 1 − .025^(1/k)].

    A cluster is wrong as a whole or in part; a rate is no lower than the share of clusters that are right as a whole.
    Five clusters that are all right give [.478, 1].
    """
    bound = ((1 - LEVEL) / 2) ** (1 / clusters)
    return (bound, 1.0, None) if value == 1 else (0.0, 1 - bound, None)


def korn_graubard_interval(value: float, *, spread: float, rows: int, clusters: int) -> Bounds:
    """Clopper–Pearson bounds of a share on as many rows as independent ones would vary as much (Korn & Graubard 1998).

    Of a share x that is n* = x(1 − x) / var, with var = k/(k − 1) · spread / rows², at most ``rows``, times the squared
    ratio of Student's t for ``rows`` and for the k clusters. A share of 0 or 1 has the exact bounds of its clusters.

    Args:
        value: the share, in 0..1.
        spread: Σ (h_i − x·m_i)² over clusters, of h_i hits among m_i rows (``mindgap.metrics.share_spread``).
        rows: Σ m_i, which it is a share of.
        clusters: k, at least 2, with such rows.
    """
    if value in {0.0, 1.0}:
        return exact_interval(value, clusters)
    effective = _effective_rows(value, spread=spread, rows=rows, clusters=clusters)
    return _bounds_on(value, effective, rows=rows, clusters=clusters)


def rare_share_interval(value: float, share: Share) -> Bounds | None:
    """Korn and Graubard's bounds of a share where it, or the rest, is of under ten effective rows; None elsewhere.

    Where fewer than five clusters have a row of the rarer kind, nothing tells whether rows of a cluster go together;
    there are then no more effective rows than clusters, which goes on from the exact bounds of a share of 0 or 1. An
    accuracy of .95 of 100 rows, each a cluster, has the bounds of five in 100; one of .85 has none.

    Args:
        value: the share, above 0 and below 1.
        share: what it is a share of; of at least two clusters.
    """
    effective = _effective_rows(value, spread=share.spread, rows=share.rows, clusters=share.clusters)
    if (share.right if value < 0.5 else share.wrong) < MIN_CLUSTERS:
        effective = min(effective, share.clusters)
    if min(value, 1 - value) * effective >= FEW_ROWS:
        return None
    return _bounds_on(value, effective, rows=share.rows, clusters=share.clusters)


def _effective_rows(value: float, *, spread: float, rows: int, clusters: int) -> float:
    """How many independent rows would vary as much, at most ``rows``; see ``korn_graubard_interval``."""
    variance = spread * clusters / (clusters - 1) / rows**2
    return min(rows, value * (1 - value) / variance) if variance > 0 else float(rows)


def _bounds_on(value: float, effective: float, *, rows: int, clusters: int) -> Bounds:
    effective *= (_student(rows - 1) / _student(clusters - 1)) ** 2
    hits = value * effective
    return _beta(1 - _UPPER, hits, effective - hits + 1), _beta(_UPPER, hits + 1, effective - hits), None


def _student(freedom: float) -> float:
    return float(cast("Any", special).stdtrit(freedom, _UPPER))


def _beta(share: float, a: float, b: float) -> float:
    return float(cast("Any", special).betaincinv(a, b, share))


def percentile_interval(value: float, replicates: Floats) -> Bounds:
    """Quantiles .025 and .975 of the replicates, float64 (R,), widened to hold the value itself.

    An interval beside its own value would be read as a mistake. The widening cannot lower the coverage.
    """
    defined = replicates[~np.isnan(replicates)]
    if _too_few(defined, replicates):
        return _none(replicates)
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return min(low, value), max(high, value), None


def bca_interval(value: float, replicates: Floats, *, jackknife: Floats) -> Bounds:
    """Quantiles of the replicates (R,) at levels moved for bias and for skewness, widened to hold the value itself.

    With z0 = Φ⁻¹(share of replicates below the value, ties half) and the acceleration a = Σu³/(6(Σu²)^1.5) of the
    deviations u = mean − θ₍ᵢ₎ of the ``jackknife`` values (m,), a level's normal quantile z becomes z0 + (z0 + z)/(1 −
    a(z0 + z)) (Efron 1987).
    """
    defined = replicates[~np.isnan(replicates)]
    if _too_few(defined, replicates):
        return _none(replicates)
    normal, spare = NormalDist(), 0.5 / len(defined)
    below = float((defined < value).mean() + 0.5 * (defined == value).mean())
    bias = normal.inv_cdf(min(max(below, spare), 1 - spare))
    known = jackknife[~np.isnan(jackknife)]
    deviations = known.mean() - known
    squares = float((deviations**2).sum())
    acceleration = 0.0 if squares == 0 else float((deviations**3).sum()) / (6 * squares**1.5)
    moved = [bias + normal.inv_cdf(level) for level in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)]
    levels = [normal.cdf(bias + z / (1 - acceleration * z)) for z in moved]
    low, high = np.quantile(defined, levels).tolist()
    return min(low, value), max(high, value), None


def norm_pivot_interval(value: float, distances: Floats, *, limits: tuple[float, float]) -> Bounds:
    """[value − c, value + c] within the limits, c the 95 % quantile of the distances, float64 (R,).

    The limits are the smallest and largest value that the metric can have. Values 1 and .9, c = .317 and limits 0 and 1
    give [.683, 1] and [.583, 1].
    """
    defined = distances[~np.isnan(distances)]
    if _too_few(defined, distances):
        return _none(distances)
    c = float(np.quantile(defined, LEVEL, method="higher"))
    # a value that rounding put a little beyond a limit stays in its interval
    return min(value, max(limits[0], value - c)), max(value, min(limits[1], value + c)), None


def log_interval(
    value: float, distances: Floats, *, limits: tuple[float, float], upper: Floats | None = None
) -> Bounds:
    """[value·e^(−c), value·e^c'] within the limits, c the 95 % quantile of the distances, float64 (R,).

    c' is that of the ``upper`` distances (R,) where the value may rise further than it falls, else c.
    """
    if value == 0:
        return no_bounds("no interval on the log scale: a group's rate is 0")
    defined = ~np.isnan(distances)
    if _too_few(distances[defined], distances):
        return _none(distances)
    fall = float(np.quantile(distances[defined], LEVEL, method="higher"))
    rise = fall if upper is None else float(np.quantile(upper[defined], LEVEL, method="higher"))
    with np.errstate(over="ignore"):
        return max(limits[0], value * math.exp(-fall)), min(limits[1], value * float(np.exp(rise))), None


def interval(
    kind: IntervalKind,
    value: float,
    *,
    replicates: Floats,
    distances: Floats,
    limits: tuple[float, float],
    upper: Floats | None = None,
    jackknife: Floats | None = None,
) -> Bounds:
    """The interval of that kind: low, high, and None or the reason why there is none (low and high are NaN).

    With ``jackknife`` values a percentile interval is a BCa interval.
    """
    if math.isnan(value):
        return no_bounds(None)
    if kind == "percentile" and jackknife is not None:
        low, high, reason = bca_interval(value, replicates, jackknife=jackknife)
    elif kind == "percentile":
        low, high, reason = percentile_interval(value, replicates)
    elif kind == "log":
        low, high, reason = log_interval(value, distances, limits=limits, upper=upper)
    else:
        low, high, reason = norm_pivot_interval(value, distances, limits=limits)
    if high - low <= NO_WIDTH:
        return no_bounds(UNMOVED)
    return low, high, reason


def _too_few(defined: Floats, replicates: Floats) -> bool:
    return len(defined) < max(1, MIN_DEFINED * len(replicates))


def _none(replicates: Floats) -> Bounds:
    if not len(replicates):
        return no_bounds("no interval: no bootstrap was asked for")
    return no_bounds(f"no interval: {undefined_note(replicates)}")


def undefined_note(replicates: Floats) -> str | None:
    """How many replicates, float64 (R,), are NaN; None if none is."""
    undefined = int(np.isnan(replicates).sum())
    return f"undefined in {undefined} of {len(replicates)} bootstrap replicates" if undefined else None
