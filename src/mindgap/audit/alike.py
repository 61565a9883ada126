"""What a model's figures would do in the replicates if its groups were alike, where the data cannot tell them apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from mindgap.audit.paired_measures import Values
from mindgap.metrics.counts import Floats
from mindgap.metrics.metric import AbstractGapMetric, AbstractGroupFigure
from mindgap.metrics.paired_interval import PLAUSIBLE

NEAR = 2.8
"""Standard deviations that a group may lie above the lowest and still be as low; 2.6 is the 99.5 % point."""


def moves_if_alike(
    metric: AbstractGroupFigure | AbstractGapMetric[Any],
    replicates: Values,
    reference: Values,
    *,
    index: int | None,
    present: np.ndarray,
) -> Floats | None:
    """Float64 (R,): how far a figure would move from its value at parity; None where parity is not plausible.

    A norm s(v) would move to s(v* − v̂), a ratio to exp(−distance), and the least of several groups to the least of
    those that may be the lowest, min (A_g* − Â_g).

    Args:
        metric: whose figure it is.
        replicates: the model's values on the resamples.
        reference: its values on the sample.
        index: the group; None for a gap.
        present: bool (G,), the groups that gaps compare.
    """
    if metric.interval == "percentile":
        return None
    if isinstance(metric, AbstractGapMetric) and metric.minimum_of is not None:
        return _of_least(replicates["group", metric.minimum_of], reference["group", metric.minimum_of], present)
    kind = "group" if isinstance(metric, AbstractGroupFigure) else "gap"
    distances = at(replicates["distance", metric.name], index)
    value = float(at(reference[kind, metric.name], index))
    if not len(distances) or np.isnan(value) or np.isnan(distances).all():
        return None
    far = float(np.nanquantile(distances, PLAUSIBLE, method="higher"))
    if metric.interval == "log":
        return np.exp(-distances) - 1 if value > 0 and -np.log(value) <= far else None
    if abs(value - metric.ideal) > far:
        return None
    return distances if metric.direction == "smaller" else -distances


def at(values: Floats, index: int | None) -> Any:
    """One group's values (...), or the values of a gap; as they are without replicates."""
    return values if index is None or not values.ndim or values.shape == (0,) else values[..., index]


def _of_least(replicates: Floats, observed: Floats, present: np.ndarray) -> Floats | None:
    if not replicates.size:
        return None
    moved, values = (replicates - observed)[:, present], observed[present]
    if np.isnan(values).any():
        return None
    lowest = int(values.argmin())
    near = values - values[lowest] <= NEAR * np.nanstd(moved - moved[:, [lowest]], axis=0)
    return moved[:, near].min(axis=1) if near.sum() > 1 else None
