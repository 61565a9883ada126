"""The records of an audit: V, a value with its interval, and G, a gap with its noise floor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mindgap.metrics.counts import Floats
from mindgap.metrics.interval import MIN_CLUSTERS, Bounds, exact_interval, interval, no_bounds, rare_share_interval
from mindgap.metrics.metric import AbstractGroupFigure, AbstractGroupMetric, AbstractMetric
from mindgap.metrics.noise_floor import noise_floor
from mindgap.metrics.share_spread import Share

Record = dict[str, Any]

NO_SCORES = "no probabilities, only predicted classes"


def value_record(value: float, bounds: Bounds, *, n: int, reason: str) -> Record:
    """V = {value, low, high, n, reason}: what is undefined is None, and the reason says why.

    Args:
        value: the observed value, NaN if undefined.
        bounds: its interval, or why there is none.
        n: rows the value rests on: all rows of a group's figure; of a gap all rows compared, unless its metric says
            otherwise (the worst group's accuracy: the rows of that group; a gap of one class: its smallest cell).
        reason: why the value is undefined, used only if it is.
    """
    low, high, no_interval = bounds
    why = reason if math.isnan(value) else no_interval
    return {"value": number(value), "low": number(low), "high": number(high), "n": n, "reason": why}


def rate_bounds(
    metric: AbstractGroupFigure,
    value: float,
    *,
    reference: float,
    replicates: Floats,
    share: Share,
    clusters: int,
    rarest: tuple[str, int],
    who: str,
    jackknife: Floats | None = None,
) -> Bounds:
    """The interval of a figure of one set of rows, from its replicates (R,).

    Exact where it is a rate of 0 or 1, and Korn and Graubard's where it is a share with few rows wrong, or right; the
    latter not where BCa is asked for.

    Args:
        metric: whose value it is.
        value: the observed value, NaN if undefined.
        reference: the same measured as the replicates are, from which it may differ by the binning of scores.
        replicates: float64 (R,), its bootstrap replicates, or their distances.
        share: of the rows, that is right.
        clusters: among the rows.
        rarest: the class with fewest clusters among them, and how many; what a mean over classes rests on.
        who: what a reason calls the rows.
        jackknife: float64 (m,), values without a block of clusters each, for a BCa interval.
    """
    shift = value - reference if metric.interval == "percentile" else 0.0
    bounds = interval(
        metric.interval,
        value,
        replicates=np.clip(replicates + shift, *metric.range),
        distances=replicates,
        limits=metric.range,
        jackknife=jackknife,
    )
    if math.isnan(value) or not len(replicates):
        return bounds
    if doubt := rate_doubt(metric, clusters=clusters, rarest=rarest, who=who):
        return no_bounds(doubt)
    if value in {0.0, 1.0} and isinstance(metric, AbstractGroupMetric):
        return exact_interval(value, rarest[1] if metric.averages_classes else clusters)
    if metric.is_share and jackknife is None and bounds[2] is None:
        return rare_share_interval(value, share) or bounds
    return bounds


def rate_doubt(metric: AbstractGroupFigure, *, clusters: int, rarest: tuple[str, int], who: str) -> str | None:
    """Why a figure of one set of rows can have no interval, see ``rate_bounds``; None if it can."""
    if clusters < MIN_CLUSTERS:
        return few_clusters(who, clusters)
    name, of_class = rarest
    if metric.averages_classes and of_class < MIN_CLUSTERS:
        return few_clusters(f"class {name!r} of {who}", of_class)
    return None


def few_clusters(who: str, clusters: int) -> str:
    """Why rows of under five clusters have no interval."""
    return f"no interval: {who} has {clusters} cluster{'s' if clusters != 1 else ''}"


def gap_record(record: Record, metric: AbstractMetric, value: float, *, permuted: Floats) -> Record:
    """G = V + {noise_mean, noise_p95, p_value} from the permuted values, float64 (P,), or a reason."""
    mean, tail, p_value = noise_floor(value, permuted, direction=metric.direction)
    if len(permuted) and math.isnan(mean) and not math.isnan(value):
        no_floor = "no noise floor: undefined in every permutation"
        record = record | {"reason": f"{record['reason']}; {no_floor}" if record["reason"] else no_floor}
    if not len(permuted) and not math.isnan(value):
        no_floor = "no noise floor: no permutations were asked for"
        record = record | {"reason": f"{record['reason']}; {no_floor}" if record["reason"] else no_floor}
    return record | {"noise_mean": number(mean), "noise_p95": number(tail), "p_value": number(p_value)}


def undefined_gap(reason: str, *, n: int) -> Record:
    """A gap that is undefined as a whole."""
    empty = dict.fromkeys(("value", "low", "high"))
    return {**empty, "n": n, "reason": reason, **dict.fromkeys(("noise_mean", "noise_p95", "p_value"))}


def number(value: float) -> float | None:
    """A number for JSON, None if it is not finite."""
    return float(value) if math.isfinite(value) else None
