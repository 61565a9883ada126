"""Calibration of each group: how often the model is right where it is so confident, in 15 bins of confidence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from mindgap.core.groups import Groups
from mindgap.metrics.counts import Floats, divide
from mindgap.metrics.predictions import Predictions
from mindgap.report.drawing import Axis, Plot, at, element, hover
from mindgap.report.drawn_groups import drawn_groups, group_sizes, lowest_group, not_drawn
from mindgap.report.estimate import Estimate, count, percent, sentence

BINS = 15
TINY_BIN = 10
"""Images under which a bin is drawn faint: one more or less moves its accuracy by over ten points."""


@dataclass(frozen=True)
class CalibrationBin:
    """The images of one group whose confidence lies in (low, high]."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float

    @property
    def span(self) -> str:
        """Its confidences in words."""
        return f"{percent(self.low, 0)} to {percent(self.high, 0)}"

    @property
    def says(self) -> str:
        """The hover text."""
        return (
            f"confidence {self.span}: {percent(self.confidence)} on average, right for {percent(self.accuracy)}, "
            f"n\u00a0=\u00a0{count(self.n)}"
        )


@dataclass(frozen=True)
class CalibrationPlot:
    """One group: its diagram, its bins that hold images, and its calibration error in words."""

    group: str
    drawing: Markup
    bins: tuple[CalibrationBin, ...]
    error: str


@dataclass(frozen=True)
class CalibrationFigure:
    """The diagrams of one attribute's drawn groups; ``left_out`` says how many have none."""

    attribute: str
    plots: list[CalibrationPlot] = field(default_factory=list)
    left_out: str = ""


def calibration_figures(predictions: Predictions, part: Mapping[str, Any]) -> list[CalibrationFigure]:
    """A reliability diagram per attribute and group; nothing without probabilities.

    Args:
        predictions: what was audited.
        part: its single-label AUDIT.
    """
    if predictions.probabilities is None:
        return []
    confidence = predictions.probabilities[np.arange(predictions.n), predictions.predicted]
    right = predictions.predicted == predictions.labels
    figures = []
    for name, record in part.get("attributes", {}).items():
        groups = predictions.groups[name]
        by_group = group_bins(groups, confidence=confidence, right=right)
        sizes = group_sizes(groups, record)
        names = drawn_groups(sizes, wanted=[_worst_calibrated(record), lowest_group(record)])
        plots = [_plot(group, by_group[group], record) for group in names]
        figures.append(CalibrationFigure(name, plots, not_drawn(sizes, names)))
    return figures


def group_bins(groups: Groups, *, confidence: Floats, right: np.ndarray) -> dict[str, tuple[CalibrationBin, ...]]:
    """The bins of every group that hold images; bin k of 15 holds the confidences in (k/15, (k+1)/15].

    Args:
        groups: groups of n rows.
        confidence: float64 (n,), probability of the predicted class.
        right: bool (n,), whether that class is the true one.

    Example:
        Two rows of a group, confident .9 and .92, of which one is right, are one bin: n 2, confidence .91, accuracy .5.
    """
    known = groups.known
    bins = np.clip(np.ceil(confidence[known] * BINS).astype(np.int64) - 1, 0, BINS - 1)
    cells, shape = groups.ids[known] * BINS + bins, (len(groups.names), BINS)
    size = shape[0] * shape[1]
    n = np.bincount(cells, minlength=size).reshape(shape).astype(np.float64)
    mean = divide(np.bincount(cells, weights=confidence[known], minlength=size).reshape(shape).astype(np.float64), n)
    rate = divide(np.bincount(cells, weights=right[known], minlength=size).reshape(shape).astype(np.float64), n)
    return {
        name: tuple(
            CalibrationBin(k / BINS, (k + 1) / BINS, int(n[g, k]), float(mean[g, k]), float(rate[g, k]))
            for k in range(BINS)
            if n[g, k]
        )
        for g, name in enumerate(groups.names)
    }


def _worst_calibrated(record: Mapping[str, Any]) -> str | None:
    """The group of at least 30 images with the largest calibration error."""
    errors = {
        name: Estimate.read(group.get("ece")).value or 0.0
        for name, group in record.get("groups", {}).items()
        if "small" not in group.get("flags", ())
    }
    return max(errors, key=lambda name: errors[name]) if errors else None


def _plot(name: str, bins: tuple[CalibrationBin, ...], record: Mapping[str, Any]) -> CalibrationPlot:
    plot = Plot(
        x=Axis(0.0, 1.0, "Confidence", lambda v: percent(v, 0)),
        y=Axis(0.0, 1.0, "Share right", lambda v: percent(v, 0)),
        height_px=250,
    )
    most = max((part.n for part in bins), default=1)
    marks = [mark for part in bins for mark in _marks(plot, part, most)]
    diagonal = plot.stretched(element("path", d=plot.path([(0, 0), (1, 1)]), class_="chance"))
    found = Estimate.read(record.get("groups", {}).get(name, {}).get("ece"))
    error = f"ECE {sentence(found)}"
    spoken = "; ".join(part.says for part in bins)
    return CalibrationPlot(
        name, plot.draw([diagonal, *marks], alt=f"Calibration of {name}. {error}. {spoken}"), bins, error
    )


def _marks(plot: Plot, part: CalibrationBin, most: int) -> Iterator[Markup]:
    """The bin's accuracy as a bar, and at its mean confidence a dot whose area grows with its images."""
    faint = " faint" if part.n < TINY_BIN else ""
    top, base = plot.py(part.accuracy), plot.base_px
    left, width = at(part.low + 0.06 / BINS), at(0.88 / BINS)
    yield element("rect", hover(part.says), x=left, width=width, y=top, height=base - top, class_=f"bar{faint}")
    x = plot.px(part.confidence)
    yield element("line", x1=x, x2=x, y1=plot.py(part.confidence), y2=top, class_=f"miss{faint}")
    yield element(
        "circle", hover(part.says), cx=x, cy=top, r=2.0 + 4.0 * math.sqrt(part.n / most), class_=f"point{faint}"
    )
