"""Drawings of a data set: class shares and split sizes of a group, the gap it could show, label shares, skin tones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from mindgap.report.drawing import Axis, Plot, at, element, hover
from mindgap.report.estimate import count, decimal, percent
from mindgap.tone.bands import CUT_OFFS

PARTS = 8
"""Colours of the classes; the last is for all others together."""
OTHER = "other classes"
SPLIT_PARTS = {"train": "split-train", "validation": "split-validation", "test": "split-test"}
_LIGHTEST = 90.0
_SHORT_NAME = 3  # letters; longer names of bands stand on three lines in turn, as some bands are narrow


def class_parts(sizes: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """The classes drawn, the largest first, each with the classes it stands for: beyond eight, the rest are one.

    Args:
        sizes: images per class.
    """
    names = sorted(sizes, key=lambda name: -sizes[name])
    if len(names) <= PARTS:
        return {name: (name,) for name in names}
    return {name: (name,) for name in names[: PARTS - 1]} | {OTHER: tuple(names[PARTS - 1 :])}


def draw_classes(group: str, counts: Mapping[str, int], parts: Mapping[str, tuple[str, ...]]) -> Markup:
    """Class shares of one group as a bar of 0 to 100 %."""
    total = sum(counts.values())
    if not total:
        return element("span", "no images", class_="undefined")
    sizes = {name: sum(counts[c] for c in members) for name, members in parts.items()}
    alt = f"{group}: " + ", ".join(f"{name} {percent(n / total)} ({count(n)})" for name, n in sizes.items())
    marks, start = [], 0.0
    for number, (name, n) in enumerate(sizes.items()):
        if n:
            said = f"{group}, {name}: {count(n)} of {count(total)}, {percent(n / total)}"
            marks.append(_part(start, n / total, f"part part-{PARTS - 1 if name == OTHER else number}", said))
        start += n / total
    return _cell(alt, marks)


def draw_splits(group: str, sizes: Mapping[str, int], *, most: int) -> Markup:
    """Images of one group per split, on a scale that ends at the largest group."""
    alt = f"{group}: " + ", ".join(f"{split} {count(n)}" for split, n in sizes.items())
    marks, start = [element("rect", x="0", y=3, width="100%", height=18, class_="track")], 0.0
    for split, n in sizes.items():
        if n:
            marks.append(_part(start, n / most, f"part {SPLIT_PARTS[split]}", f"{group}, {split}: {count(n)}"))
        start += n / most
    return _cell(alt, marks)


def draw_detectable(group: str, delta: float | None, *, reason: str | None, most: float) -> Markup:
    """The smallest difference a group would show, on a scale from 0 to ``most``; an outline where none would."""
    track = element("rect", x="0", y=3, width="100%", height=18, class_="track")
    ticks = [
        element("line", x1=at(k * 0.1 / most), x2=at(k * 0.1 / most), y1=3, y2=21, class_="grid")
        for k in range(1, round(most * 10))
    ]
    if delta is None:
        outline = element("rect", x="0", y=3, width="100%", height=18, class_="bar small")
        return _cell(f"{group}: nothing would show, {reason}", [track, outline])
    bar = element("rect", x="0", y=3, width=at(delta / most), height=18, class_="bar")
    return _cell(f"{group}: a difference of {points(delta)} would show", [track, bar, *ticks])


def draw_label(label: str, shares: Mapping[str, float | None]) -> Markup:
    """The share of one label in every group, as dots on 0 to 100 %."""
    known = {name: share for name, share in shares.items() if share is not None}
    alt = f"{label}: " + ", ".join(f"{name} {percent(share)}" for name, share in known.items())
    marks = [element("rect", x="0", y=3, width="100%", height=18, class_="track")]
    for number, (name, share) in enumerate(known.items()):
        dot = hover(f"{name}: {percent(share)}")
        marks.append(element("circle", dot, cx=at(share), cy=12, r=5, class_=f"dot series-{number % 6}"))
    return _cell(alt, marks)


def draw_tones(edges: Sequence[float], counts: Sequence[int], *, cut_offs: str | None = "wei") -> Markup:
    """Histogram of the individual typology angle, dark skin on the left, with the cut-offs of the tone bands if any."""
    bands, lows = zip(*CUT_OFFS[cut_offs], strict=True) if cut_offs else ((), ())
    lines_of_names = 3 if any(len(band) > _SHORT_NAME for band in bands) else 1
    most = max([1, *counts])
    plot = Plot(
        x=Axis(-90.0, 90.0, "Typology angle in degrees, lighter", lambda v: decimal(v, 0)),
        y=Axis(0.0, most * (1.0 + 0.15 * lines_of_names), "Images", count),
        height_px=260,
    )
    bars = []
    for (low, high), n in zip(pairwise(edges), counts, strict=True):
        top = plot.py(n)
        text = hover(f"{decimal(low, 0)}° to {decimal(high, 0)}°: {count(n)} images")
        width = at((high - low) / 180)
        bars.append(element("rect", text, x=plot.px(low), y=top, width=width, height=plot.base_px - top, class_="bar"))
    lines = [
        element("line", x1=plot.px(low), x2=plot.px(low), y1=plot.top_px, y2=plot.base_px, class_="floor-mean")
        for low in lows
        if low > edges[0]
    ]
    names = []
    for place, (band, low, high) in enumerate(zip(bands, lows, (_LIGHTEST, *lows)[: len(lows)], strict=True)):
        x, y = plot.px((low + high) / 2), plot.top_px + 10 + 15 * (place % lines_of_names)
        names.append(element("text", band.replace("_", " "), x=x, y=y, class_="note middle"))
    alt = f"Skin tones of {count(sum(counts))} images; the angle of most is near {decimal(_mode(edges, counts), 0)}°."
    return plot.draw([*bars, *lines, *names], alt=alt)


def points(share: float | None) -> str:
    """A difference of rates in percentage points: ``7.7 points``."""
    return "–" if share is None else f"{decimal(100 * share, 1)}\u00a0points"


def _mode(edges: Sequence[float], counts: Sequence[int]) -> float:
    place = max(range(len(counts)), key=lambda k: counts[k])
    return (edges[place] + edges[place + 1]) / 2


def _part(start: float, width: float, kind: str, said: str) -> Markup:
    return element("rect", hover(said), x=at(start), y=3, width=at(width), height=18, class_=kind)


def _cell(alt: str, marks: Sequence[Any]) -> Markup:
    return element("svg", hover(alt), *marks, class_="cell", width="100%", height=24, role="img", aria_label=alt)
