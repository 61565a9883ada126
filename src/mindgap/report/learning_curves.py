"""Learning curves: what each epoch's record in ``log.jsonl`` says, one plot per kind of figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from mindgap.report.drawing import Axis, Plot, element, hover, padded
from mindgap.report.estimate import count, decimal, percent

_RATES = ("accuracy", "f1", "auroc")
_GAPS = ("unfairness", "gap")
_MOST_SERIES = 6
_NAMES = {"loss": "training loss", "objective": "objective of the training loss", "accuracy": "training accuracy"}


@dataclass(frozen=True)
class Curve:
    """One figure over the epochs; ``points`` are (epoch, value) in order."""

    name: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class CurvePlot:
    """A drawn plot with its legend: the names of the curves, in the order of their colours; others were left out."""

    title: str
    drawing: Markup
    legend: tuple[str, ...]
    left_out: int = 0


def curve_plots(log: Iterable[Mapping[str, Any]]) -> list[CurvePlot]:
    """A plot each of the losses, the rates (accuracy, …) and the unfairness, where the log has them."""
    curves = read_curves(log)
    kinds = {"Loss": ("loss",), "Accuracy": _RATES, "Unfairness U": _GAPS}
    plots = []
    for title, kind in kinds.items():
        of_kind = [curve for curve in curves if any(word in curve.name for word in kind)]
        curves = [curve for curve in curves if curve not in of_kind]
        if of_kind:
            plots.append(_plot(title, of_kind, rates=kind is _RATES))
    return plots


def read_curves(log: Iterable[Mapping[str, Any]]) -> list[Curve]:
    """All numeric figures by epoch; an epoch run twice (after a resume) counts once, by its last record."""
    series: dict[str, dict[int, float]] = {}
    for record in log:
        epoch = record.get("epoch")
        if isinstance(epoch, bool) or not isinstance(epoch, int):
            continue
        fold = record.get("fold")
        suffix = "" if fold is None else f", fold {fold}"
        for name, value in _figures(record).items():
            series.setdefault(f"{_NAMES.get(name, name.replace('_', ' '))}{suffix}", {})[epoch] = value
    return [Curve(name, tuple(sorted(points.items()))) for name, points in series.items()]


def _figures(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of one epoch's record, those under ``extra`` included."""
    extra = record.get("extra")
    both = {**record, **(extra if isinstance(extra, Mapping) else {})}
    numbers = {name: value for name, value in both.items() if name not in {"epoch", "epochs", "fold"}}
    return {
        name: float(value)
        for name, value in numbers.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }


def draw_curves(title: str, curves: Sequence[Curve], *, x: str = "Epoch", rates: bool = False) -> Markup:
    """The curves in one plot, in the order of their colours, with what they are in words."""
    values = [value for curve in curves for _, value in curve.points]
    steps = [step for curve in curves for step, _ in curve.points]
    low, high = padded(values, at_least=0.05, floor=0.0)
    plot = Plot(
        x=Axis(min(steps), max(*steps, min(steps) + 1), x, lambda v: count(v) if v == int(v) else ""),
        y=Axis(low, min(high, 1.0) if rates and max(values) <= 1 else high, title, _percent if rates else _plain),
        height_px=260,
    )
    marks = [mark for number, curve in enumerate(curves) for mark in _line(plot, curve, number, x=x, rates=rates)]
    ends = ", ".join(f"{curve.name} ends at {decimal(curve.points[-1][1])}" for curve in curves)
    alt = f"{title} over {max(steps) - min(steps) + 1} {x.lower()}s: {ends}."
    return plot.draw(marks, alt=alt)


def _plot(title: str, all_curves: Sequence[Curve], *, rates: bool) -> CurvePlot:
    curves = all_curves[:_MOST_SERIES]
    drawing = draw_curves(title, curves, rates=rates)
    return CurvePlot(title, drawing, tuple(curve.name for curve in curves), len(all_curves) - len(curves))


def _line(plot: Plot, curve: Curve, number: int, *, x: str, rates: bool) -> list[Markup]:
    places = [(plot.px(epoch), plot.py(value)) for epoch, value in curve.points]
    kind = f"curve series-{number}"
    lines = [element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind) for (x1, y1), (x2, y2) in pairwise(places)]
    dots = [
        element(
            "circle",
            hover(f"{curve.name}, {x.lower()} {epoch}: {percent(value) if rates else decimal(value)}"),
            cx=px,
            cy=py,
            r=3 if len(places) <= 60 else 1.5,
            class_=f"dot series-{number}",
        )
        for (px, py), (epoch, value) in zip(places, curve.points, strict=True)
    ]
    return [*lines, *dots]


def _percent(value: float) -> str:
    return percent(value, 0)


def _plain(value: float) -> str:
    return decimal(value, 2)
