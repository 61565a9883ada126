"""ROC curves of the groups, one plot per class, the area between the two furthest apart shaded (ABROCA)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from mindgap.metrics.predictions import Predictions
from mindgap.report.drawing import Axis, Plot, element, hover
from mindgap.report.drawn_groups import drawn_groups, lowest_group
from mindgap.report.estimate import Estimate, count, decimal, interval, listed
from mindgap.report.group_curves import REST, ClassCurves, GroupCurve, class_curves

OPEN_CLASSES = 4
MOST_CLASSES = 16
_SORTED_ROWS = 8_000_000
"""Scores a page sorts for its curves at most: about three seconds."""


@dataclass(frozen=True)
class RocPlot:
    """One class: its drawing, the names of its curves in the order of their colours, and what it says in words."""

    title: str
    drawing: Markup
    legend: tuple[str, ...]
    without: tuple[str, ...]
    caption: str


@dataclass(frozen=True)
class RocFigure:
    """The plots of one attribute: ``plots`` in sight, ``more`` folded away, and how many classes are not drawn."""

    attribute: str
    plots: list[RocPlot] = field(default_factory=list)
    more: list[RocPlot] = field(default_factory=list)
    left_out: int = 0


def roc_figures(predictions: Predictions, part: Mapping[str, Any]) -> list[RocFigure]:
    """The curves of every attribute, the classes with the largest ABROCA first; of two classes the second alone.

    Args:
        predictions: what was audited.
        part: its single-label AUDIT.
    """
    scores = predictions.probabilities
    if scores is None:
        return []
    plots: dict[str, dict[int, RocPlot]] = {name: {} for name in predictions.groups}
    chosen = _classes_to_draw(predictions, part)
    for index in sorted({k for indices in chosen.values() for k in indices}):
        of_class = scores[:, index]
        order = np.argsort(-of_class)  # tied scores are one step in any order
        for name in (name for name, indices in chosen.items() if index in indices):
            positive = predictions.labels == index
            curves = class_curves(predictions.groups[name], positive=positive, scores=of_class, order=order)
            attribute = part["attributes"][name]
            plots[name][index] = _plot(predictions.classes[index], curves, attribute)
    drawable = 1 if len(predictions.classes) == 2 else len(predictions.classes)
    figures = []
    for name, indices in chosen.items():
        found = [plots[name][k] for k in indices]
        figures.append(RocFigure(name, found[:OPEN_CLASSES], found[OPEN_CLASSES:], drawable - len(found)))
    return figures


def _classes_to_draw(predictions: Predictions, part: Mapping[str, Any]) -> dict[str, list[int]]:
    """By attribute the numbers of its classes: the largest ABROCA first, then the most images."""
    names = predictions.classes
    if len(names) == 2:
        return {attribute: [1] for attribute in part.get("attributes", {})}
    most = min(max(_SORTED_ROWS // max(predictions.n, 1), OPEN_CLASSES), MOST_CLASSES)
    chosen = {}
    support = np.bincount(predictions.labels, minlength=len(names)).tolist()
    for attribute, record in part.get("attributes", {}).items():
        areas = [_abroca(record, name).value for name in names]
        keys = [(-1.0 if area is None else area, rows) for area, rows in zip(areas, support, strict=True)]
        ranked = sorted(range(len(names)), key=lambda k: keys[k], reverse=True)
        chosen[attribute] = ranked[:most]
    return chosen


def _abroca(attribute: Mapping[str, Any], name: str) -> Estimate:
    return Estimate.read(attribute.get("per_class", {}).get(name, {}).get("abroca"))


def _plot(name: str, curves: ClassCurves, attribute: Mapping[str, Any]) -> RocPlot:
    area = _abroca(attribute, name)
    known = {group: found.positives + found.negatives for group, found in curves.by_group.items() if found.defined}
    sizes = {group: known[group] for group in attribute.get("groups", {}) if group in known} | known
    pair = curves.pair if curves.pair and area.value is not None else ()
    names = drawn_groups(sizes, wanted=[*pair, lowest_group(attribute)])
    shown = [(group, curves.by_group[group]) for group in names]
    plot = Plot(
        x=Axis(0.0, 1.0, "False positive rate", lambda v: decimal(v, 1)),
        y=Axis(0.0, 1.0, "True positive rate", lambda v: decimal(v, 1)),
        height_px=260,
    )
    paths = [element("path", d=plot.path([(0, 0), (1, 1)]), class_="chance"), *_shade(plot, curves, area)]
    paths += [_line(plot, group, found, number) for number, (group, found) in enumerate(shown)]
    marks = [plot.stretched(*paths)]
    if curves.pair and area.value is not None:
        label = f"ABROCA {decimal(area.value)}"
        marks.append(element("text", label, x="97%", y=plot.base_px - 12, class_="note strong end"))
    caption = _caption(curves, area)
    spoken = "; ".join(_legend(group, found) for group, found in shown)
    alt = f"ROC curves of {name} against the other classes. {spoken}. {caption}"
    without = _without(curves)
    return RocPlot(
        title=name,
        drawing=plot.draw(marks, alt=alt),
        legend=tuple(_legend(group, found) for group, found in shown),
        without=(*without, *_undrawn(len(sizes) - len(shown))),
        caption=caption,
    )


def _legend(name: str, found: GroupCurve) -> str:
    n = found.positives + found.negatives
    return f"{name}: AUROC {decimal(found.area)}, {count(found.positives)} of {count(n)} images"


def _shade(plot: Plot, curves: ClassCurves, area: Estimate) -> Iterator[Markup]:
    """The region between the pair's curves: along one and back along the other."""
    if curves.pair is None or area.value is None:
        return
    first, second = (curves.by_group[name].curve for name in curves.pair)
    there, back = list(zip(*first, strict=True)), list(zip(*second, strict=True))
    said = f"area between {curves.pair[0]} and {curves.pair[1]}: ABROCA {decimal(area.value)}"
    yield element("path", hover(said), d=plot.path([*there, *reversed(back)]) + "Z", class_="between")


def _line(plot: Plot, name: str, found: GroupCurve, number: int) -> Markup:
    points = zip(*found.curve, strict=True)
    return element("path", hover(_legend(name, found)), d=plot.path(points), class_=f"curve series-{number}")


def _caption(curves: ClassCurves, area: Estimate) -> str:
    if curves.pair is None:
        return "Fewer than two groups have images of this class and of others: no area between curves."
    first, second = curves.pair
    between = f"{first} and {second}" if second != REST else f"{first} and all other groups together"
    if area.value is None:
        return f"No area is shaded: ABROCA is not defined: {area.reason}."
    bounds = f"95\u202f% interval {interval(area)}" if area.has_interval else interval(area)
    floor = f"; noise floor p95 {decimal(area.noise_p95)}" if area.has_floor else ""
    return f"Shaded: between {between}, ABROCA {decimal(area.value)} ({bounds}{floor})."


def _without(curves: ClassCurves) -> list[str]:
    """The groups that have no curve, by what they lack."""
    lacking: dict[str, list[str]] = {}
    for group, found in curves.by_group.items():
        if not found.defined:
            lacking.setdefault(found.missing, []).append(group)
    return [f"{listed(groups, most=5)}: {missing}" for missing, groups in lacking.items()]


def _undrawn(number: int) -> tuple[str, ...]:
    return (f"{number} more group{'s' if number > 1 else ''} not drawn",) if number > 0 else ()
