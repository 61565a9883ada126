"""95 % intervals of the difference between two models' figures, from paired replicates."""

from __future__ import annotations

import math

import numpy as np

from mindgap.metrics.counts import Floats
from mindgap.metrics.interval import LEVEL, MIN_DEFINED, NO_WIDTH, Bounds, no_bounds, undefined_note

UNSEEN = 1.4
UNMOVED = "no interval: almost no resample moves this difference"


def difference_interval(value: float, first: Floats, second: Floats, *, bends: bool) -> Bounds:
    """Low, high, and None or the reason why there is none (low and high are NaN).

    Args:
        value: the observed difference, second − first.
        first: float64 (R,), how far the first model's figure moves in each replicate.
        second: float64 (R,), how far the second's moves in the same replicates.
        bends: whether the figures are gaps, minima or other functions that bend where groups are alike.
    """
    if math.isnan(value):
        return no_bounds(None)
    if not len(first):
        return no_bounds("no interval: no bootstrap was asked for")
    moved = second - first
    defined = ~np.isnan(moved)
    if defined.sum() < max(1, MIN_DEFINED * len(moved)):
        return no_bounds(f"no interval: {undefined_note(moved)}")
    low, high = _bent(first[defined], second[defined]) if bends else _quantiles(moved[defined])
    if high - low <= NO_WIDTH:
        return no_bounds(UNMOVED)
    return min(value, value + low), max(value, value + high), None


def _quantiles(moved: Floats) -> tuple[float, float]:
    low, high = np.quantile(moved, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return low, high


def _bent(first: Floats, second: Floats) -> tuple[float, float]:
    """How far the difference may lie below and above its value."""
    moved = second - first
    low, high = _quantiles(moved)
    reach = float(np.quantile(np.abs(moved), LEVEL))
    down, up = (UNSEEN * float(mean) for mean in (first.mean(), second.mean()))
    # the estimate overshoots where the second's figure is raised by chance, and the first's is not
    over = high + max(up, 0.0) - min(down, 0.0)
    under = low + min(up, 0.0) - max(down, 0.0)
    return -max(over, reach), max(-under, reach)
