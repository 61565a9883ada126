"""Inline SVG, written by hand: escaped, without a script, coloured by the page's style sheet.

Positions along x are percentages of the drawing's width, so that a figure fits a phone and a printed page while its
text keeps its size; positions along y are pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from markupsafe import Markup

_FINE = 1000
Attribute = str | int | float | None


def element(tag: str, *children: str, **attributes: Attribute) -> Markup:
    """One SVG or HTML element; text and attribute values are escaped unless they are ``Markup`` already.

    Args:
        tag: the element's name, from code, never from data.
        children: elements or text.
        attributes: ``class_`` becomes ``class``, ``font_size`` becomes ``font-size``; None is left out.

    Example:
        >>> element("text", "<b>", x=1)
        Markup('<text x="1">&lt;b&gt;</text>')
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _plain(value))
        for name, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), written, Markup("").join(children))  # noqa: S704  (tag is ours)


def _plain(value: str | float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def hover(text: str) -> Markup:
    """A title, shown when the pointer rests on its parent."""
    return element("title", text)


def at(share: float) -> str:
    """A position along x, 0..1, as a percentage."""
    return f"{100 * min(max(share, -0.02), 1.02):.3f}%"


@dataclass(frozen=True)
class Axis:
    """A linear axis.

    Attributes:
        low, high: the values at its two ends; low < high.
        label: what it shows, in words.
        write: how a tick is written.
    """

    low: float
    high: float
    label: str
    write: Callable[[float], str]

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high one."""
        return (value - self.low) / (self.high - self.low)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values inside the axis, at most ``most`` of them."""
        return round_values(self.low, self.high, most)


def round_values(low: float, high: float, most: int = 5) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within low..high, at most ``most``.

    Example:
        >>> round_values(0.0, 1.0, 5)
        [0.0, 0.5, 1.0]
    """
    rough = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def padded(values: Iterable[float], *, at_least: float, floor: float | None = None) -> tuple[float, float]:
    """Ends of an axis around values, with 6 % to spare and a least length, not below ``floor``."""
    known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    spare = max(0.06 * (high - low), (at_least - (high - low)) / 2, 1e-9)
    low = low - spare if floor is None else max(floor, low - spare)
    return low, max(high + spare, low + at_least)


@dataclass(frozen=True)
class Plot:
    """A frame with two axes; ``marks`` are drawn between its grid and its labels."""

    x: Axis
    y: Axis
    height_px: int = 320

    top_px = 14
    bottom_px = 46

    def px(self, value: float) -> str:
        """Position of a value along x."""
        return at(self.x.share(value))

    def py(self, value: float) -> float:
        """Position of a value along y, in pixels from the top."""
        inner = self.height_px - self.top_px - self.bottom_px
        return self.top_px + inner * (1 - min(max(self.y.share(value), -0.02), 1.02))

    @property
    def base_px(self) -> float:
        """Where the x axis lies, in pixels from the top."""
        return float(self.height_px - self.bottom_px)

    def stretched(self, *paths: Markup) -> Markup:
        """Paths from ``path``, stretched over the frame; their strokes keep their width."""
        return element(
            "svg", *paths, x="0", y=self.top_px, width="100%", height=self.base_px - self.top_px,
            viewBox=f"0 0 {_FINE} {_FINE}", preserveAspectRatio="none", overflow="visible", class_="stretched",
        )  # fmt: skip

    def path(self, points: Iterable[tuple[float, float]]) -> str:
        """The ``d`` of a line through points (x, y), in thousandths of the frame, for ``stretched``."""
        steps = [f"{round(_FINE * self.x.share(x))} {round(_FINE * (1 - self.y.share(y)))}" for x, y in points]
        return "M" + "L".join(steps)

    def draw(self, marks: Iterable[Markup], *, alt: str) -> Markup:
        """The whole figure as HTML with inline SVG; ``alt`` says in words what it shows."""
        scale = element("svg", *self._scale(), class_="scale", width=58, height=self.height_px, aria_hidden="true")
        area = element(
            "svg", *self._grid(), *marks, class_="area", width="100%", height=self.height_px, role="img", aria_label=alt
        )
        caption = element("p", f"↑ {self.y.label}", class_="axis-name")
        return caption + element("div", scale, area, class_="plot")

    def _scale(self) -> list[Markup]:
        return [
            element("text", self.y.write(tick), x=50, y=self.py(tick) + 4, class_="tick end")
            for tick in self.y.ticks(6)
        ]

    def _grid(self) -> list[Markup]:
        base = self.base_px
        lines = [
            element("line", x1="0", x2="100%", y1=self.py(tick), y2=self.py(tick), class_="grid")
            for tick in self.y.ticks(6)
        ]
        labels = [
            element("text", self.x.write(tick), x=self.px(tick), y=base + 18, class_="tick middle")
            for tick in self.x.ticks(6)
        ]
        axis = element("line", x1="0", x2="100%", y1=base, y2=base, class_="axis")
        name = element("text", f"{self.x.label} →", x="100%", y=base + 38, class_="axis-name end")
        return [*lines, axis, *labels, name]
