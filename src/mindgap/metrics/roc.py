"""ROC curves: their points, the area under one (AUROC) and the area between two (ABROCA), exact on all scores.

A curve is piecewise linear between its knots: tied scores are one step, drawn as its diagonal, so the area under it is
the probability that a positive scores higher than a negative, ties counting half.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import ShapeError
from mindgap.metrics.counts import Floats

Bools = NDArray[np.bool_]
Curve = tuple[Floats, Floats]


def roc_curve(positive: Bools, scores: Floats) -> Curve:
    """False and true positive rates at every score at which the curve turns, from (0, 0) to (1, 1).

    Knots on a straight piece are left out, as they change no area.

    Args:
        positive: bool (n,), the rows of the class.
        scores: float64 (n,), higher means more likely of the class.

    Returns:
        fpr and tpr, float64 (T,) each, in 0..1, not decreasing; a rate is NaN throughout without its kind of rows.

    Raises:
        ShapeError: the lengths differ.

    Example:
        Positives .9 and .4, negatives .6 and .1 give fpr 0, 0, .5, .5, 1 and tpr 0, .5, .5, 1, 1.
    """
    if positive.shape != scores.shape or positive.ndim != 1:
        raise ShapeError(f"ROC curve: positive {positive.shape} and scores {scores.shape} must both be (n,)")
    order = np.argsort(-scores, kind="stable")
    return sorted_roc_curve(positive[order], scores[order])


def sorted_roc_curve(positive: Bools, scores: Floats) -> Curve:
    """``roc_curve`` of rows whose scores do not increase."""
    ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)[: len(scores)])
    right = np.concatenate([[0], np.cumsum(positive, dtype=np.int64)[ends]])
    wrong = np.concatenate([[0], ends + 1]) - right
    kept = _corners(wrong, right)
    return _rates(wrong[kept]), _rates(right[kept])


def auroc(positive: Bools, scores: Floats) -> float:
    """Area under the ROC curve, in 0..1: P(score of a positive > score of a negative) + ½ P(equal).

    NaN without positives or without negatives. Positives .9 and .4, negatives .6 and .1 give 3/4.
    It says nothing of the scores' scale, so neither of calibration nor of the errors at any threshold.
    """
    return curve_area(roc_curve(positive, scores))


def curve_area(curve: Curve) -> float:
    """Area under a curve of ``roc_curve``; NaN where either kind of rows is missing."""
    fpr, tpr = curve
    if len(fpr) < 2:
        return float("nan")
    return float((np.diff(fpr) * (tpr[1:] + tpr[:-1])).sum() / 2)


def area_between(first: Curve, second: Curve) -> float:
    """ABROCA: the area between two ROC curves, ∫|ROC_a(x) − ROC_b(x)| dx over x in 0..1, exact.

    Wei & Chakraborti, eq. 22. On the union of the knots each interval takes the right limit at its left end and the
    left limit at its right end; where the sign changes within an interval of length h, between differences d0 and d1,
    it adds h·(d0² + d1²)/(2(|d0| + |d1|)). It is at least the difference of the two AUROCs, and NaN where a curve is.

    Example:
        Curves (0,0), (0,1), (1,1) and (0,0), (1,1) enclose 1/2.
    """
    if not (np.isfinite(first[0][0]) and np.isfinite(first[1][0]) and np.isfinite(second[0][0] + second[1][0])):
        return float("nan")
    knots = np.union1d(first[0], second[0])
    starts, ends = (a - b for a, b in zip(_limits(first, knots), _limits(second, knots), strict=True))
    return float((np.diff(knots) * _mean_distance(starts, ends)).sum())


def _mean_distance(starts: Floats, ends: Floats) -> Floats:
    """Mean of |d| over intervals on which d runs linearly from start to end."""
    size = np.abs(starts) + np.abs(ends)
    crossing = starts * ends < 0
    with np.errstate(divide="ignore", invalid="ignore"):
        crossed = (starts**2 + ends**2) / (2 * size)
    return np.where(crossing, crossed, size / 2)


def _limits(curve: Curve, knots: Floats) -> tuple[Floats, Floats]:
    """Right limits at all knots but the last, and left limits at all but the first, float64 (K−1,) each.

    Args:
        curve: fpr and tpr.
        knots: float64 (K,), increasing, among them all of the curve's fpr.
    """
    places, first = np.unique(curve[0], return_index=True)
    last = np.append(first[1:], len(curve[0])) - 1
    low, high = curve[1][first], curve[1][last]
    piece = np.searchsorted(places, knots[:-1], side="right") - 1
    length = places[piece + 1] - places[piece]
    slope = (low[piece + 1] - high[piece]) / length
    start, end = knots[:-1] - places[piece], places[piece + 1] - knots[1:]
    return high[piece] + slope * start, low[piece + 1] - slope * end


def _rates(counts: NDArray[np.int64]) -> Floats:
    return counts / counts[-1] if counts[-1] else np.full(len(counts), np.nan)


def _corners(wrong: NDArray[np.int64], right: NDArray[np.int64]) -> Bools:
    """Which points of a path of whole steps are its ends or lie off the line between their neighbours."""
    across, up = np.diff(wrong), np.diff(right)
    turns = across[1:] * up[:-1] != across[:-1] * up[1:]
    return np.concatenate([[True], turns, [True]]) if len(wrong) > 1 else np.ones(len(wrong), dtype=bool)
