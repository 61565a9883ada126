"""Drawings of a blended training: shares, probabilities of replacement and AUROCs of the tone bands over the epochs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from mindgap.report.blend_log import ByBand, Course
from mindgap.report.drawing import Axis, Plot, element, hover, padded
from mindgap.report.estimate import count, decimal, listed, percent

_SERIES = 6
_MANY_LOOKS = 24
_MANY_EPOCHS = 60


@dataclass(frozen=True)
class BandPlot:
    """A drawn plot.

    Attributes:
        drawing: the plot.
        legend: the tone bands that are drawn, each with the number of its colour.
        line: what its level line stands for; empty without one.
    """

    drawing: Markup
    legend: tuple[tuple[str, int], ...]
    line: str = ""


def draw_shares(course: Course, *, aim: float | None, raised: Mapping[int, Collection[str]]) -> BandPlot | None:
    """Expected share of every tone band that has one, by epoch, from the share before any was replaced.

    Args:
        course: the training.
        aim: P_target, drawn as a line; None if unknown.
        raised: tone bands that were raised by each look, by epoch.
    """
    line = None if aim is None else (aim, f"aimed at: {percent(aim)}")
    before = {band: share for band in course.bands if (share := course.share_before(band)) is not None}
    shares = {course.ends[0] - 1: before, **course.shares} if before else course.shares
    return _draw("Expected share of the training images", course, shares, raised=raised, line=line, rates=True)


def draw_chances(course: Course, *, raised: Mapping[int, Collection[str]]) -> BandPlot | None:
    """Mean probability of replacement over the images of every tone band of which any is replaced, by epoch."""
    return _draw("Probability of being replaced", course, course.chances, raised=raised, line=None, rates=True)


def draw_aucs(course: Course, used: Mapping[int, ByBand], *, threshold: float | None) -> BandPlot | None:
    """AUROC of the tone bands at every look, where it was used.

    Args:
        course: the training.
        used: AUROCs that decided, by epoch and tone band.
        threshold: τ, drawn as a line; None if unknown.
    """
    line = None if threshold is None else (threshold, f"τ = {decimal(threshold, 2)}")
    return _draw("Macro AUROC, validation images", course, used, raised=None, line=line, rates=False)


def _draw(
    title: str,
    course: Course,
    figures: Mapping[int, ByBand],
    *,
    raised: Mapping[int, Collection[str]] | None,
    line: tuple[float, str] | None,
    rates: bool,
) -> BandPlot | None:
    """One line per tone band; of shares and probabilities those that are 0 throughout are left out."""
    points = {
        band: [(epoch, of_bands[band]) for epoch, of_bands in figures.items() if band in of_bands]
        for band in course.bands
    }
    points = {band: found for band, found in points.items() if any(value > 0 or not rates for _, value in found)}
    if not points:
        return None
    values = [value for found in points.values() for _, value in found]
    low, high = padded([*values, *([0.0] if rates else []), *([line[0]] if line else [])], at_least=0.05, floor=0.0)
    begin, end = min(course.ends[0], *figures), course.ends[1]
    plot = Plot(
        x=Axis(begin, max(end, begin + 1), "Epoch", lambda v: _epoch(v, first=course.ends[0])),
        y=Axis(low, min(high, 1.0), title, lambda v: percent(v, 0) if rates else decimal(v, 2)),
        height_px=270,
    )
    numbers = {band: number % _SERIES for number, band in enumerate(course.bands)}
    marks = [*_looks(plot, raised or {}), *_level(plot, line)]
    for band, found in points.items():
        marks += _curve(plot, band, found, number=numbers[band], first=course.ends[0], rates=rates)
    ends = ", ".join(
        f"{band} from {_write(found[0][1], rates=rates)} to {_write(found[-1][1], rates=rates)}"
        for band, found in points.items()
    )
    alt = f"{title} by epoch, from the first to the last that is drawn: {ends}."
    legend = tuple((band, numbers[band]) for band in points)
    return BandPlot(plot.draw(marks, alt=alt), legend, line[1] if line else "")


def _curve(
    plot: Plot, band: str, points: Sequence[tuple[int, float]], *, number: int, first: int, rates: bool
) -> list[Markup]:
    places = [(plot.px(epoch), plot.py(value)) for epoch, value in points]
    lines = [
        element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=f"curve series-{number}")
        for (x1, y1), (x2, y2) in pairwise(places)
    ]
    radius_px = 3.5 if len(places) <= _MANY_EPOCHS else 1.5
    dots = [
        element(
            "circle",
            hover(f"{band}, {_when(epoch, first=first)}: {_write(value, rates=rates)}"),
            cx=x, cy=y, r=radius_px, class_=f"dot series-{number}",
        )
        for (x, y), (epoch, value) in zip(places, points, strict=True)
    ]  # fmt: skip
    return [*lines, *dots]


def _looks(plot: Plot, raised: Mapping[int, Collection[str]]) -> Iterable[Markup]:
    """A line at every epoch after which validation images were looked at, a strong one where a band was raised."""
    top = plot.top_px if len(raised) <= _MANY_LOOKS else plot.base_px - 12
    for epoch, bands in raised.items():
        said = f"after epoch {epoch}: {listed(bands)} raised" if bands else f"after epoch {epoch}: nothing raised"
        x = plot.px(epoch)
        kind = "look raised" if bands else "look"
        yield element("line", hover(said), x1=x, x2=x, y1=top, y2=plot.base_px, class_=kind)


def _level(plot: Plot, line: tuple[float, str] | None) -> Iterable[Markup]:
    if line is not None:
        value, said = line
        y = plot.py(value)
        yield element("line", hover(said), x1="0", x2="100%", y1=y, y2=y, class_="floor-mean")


def _epoch(value: float, *, first: int) -> str:
    """A tick of the axis of epochs; the place before the first epoch is the training images as they are."""
    if value != int(value):
        return ""
    return "before" if value < first else count(value)


def _when(epoch: int, *, first: int) -> str:
    return "before" if epoch < first else f"epoch {epoch}"


def _write(value: float, *, rates: bool) -> str:
    return percent(value) if rates else decimal(value)
