"""The front of a search: accuracy against unfairness, the size of a mark showing its cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mindgap.report.drawing import Axis, Plot, element, hover, padded
from mindgap.report.estimate import Estimate, amount, decimal, percent
from mindgap.report.thinning import thinned


@dataclass(frozen=True)
class Candidate:
    """One trained candidate on the validation split.

    Attributes:
        slot: its number.
        accuracy, unfairness: with intervals where the run kept them.
        macs: multiply-accumulates of one image.
        on_front, chosen, control: its part in the result.
    """

    slot: int
    accuracy: Estimate
    unfairness: Estimate
    macs: float | None
    on_front: bool
    chosen: bool
    control: bool = False

    @property
    def radius_px(self) -> float:
        """Radius whose area grows with the MACs: 10 M gives 6 px."""
        return min(max(6.0 * math.sqrt((self.macs or 1e6) / 1e7), 3.0), 15.0)

    @property
    def says(self) -> str:
        """The hover text."""
        kind = "chosen" if self.chosen else "on the front" if self.on_front else "not on the front"
        return (
            f"slot {self.slot} ({kind}): accuracy {percent(self.accuracy.value)}, "
            f"U {decimal(self.unfairness.value)}, {amount(self.macs)} MACs"
        )


def candidates(
    search: Mapping[str, Any], audits: Mapping[int, Mapping[str, Any]], *, attribute: str | None
) -> list[Candidate]:
    """The completed trials with both figures, the front drawn last.

    Args:
        search: ``search.json``.
        audits: validation AUDITs by slot, where the run kept them.
        attribute: the attribute whose U the search looked at.
    """
    gap = "unfairness_standardized" if search.get("unfairness") == "standardized" else "unfairness"
    front, chosen = set(search.get("front", [])), search.get("chosen")
    found: list[Candidate] = []
    for trial in search.get("trials", []):
        if trial.get("state") != "complete" or trial.get("accuracy") is None or trial.get("unfairness") is None:
            continue
        slot = int(trial["slot"])
        found.append(
            Candidate(
                slot=slot,
                accuracy=_with_interval(trial, "accuracy", _accuracy(audits.get(slot))),
                unfairness=_with_interval(trial, "unfairness", _unfairness(audits.get(slot), attribute, gap)),
                macs=trial.get("macs"),
                on_front=slot in front,
                chosen=slot == chosen,
                control=bool(trial.get("control")),
            )
        )
    return sorted(found, key=lambda candidate: (candidate.chosen, candidate.on_front))


def _with_interval(trial: Mapping[str, Any], name: str, audited: Estimate) -> Estimate:
    """The value the search used, with the audit's interval only if the audit judged the same value."""
    value = float(trial[name])
    if audited.value is not None and abs(audited.value - value) < 1e-6:
        return audited
    kept = trial.get(f"{name}_interval")
    if isinstance(kept, Sequence) and len(kept) == 2:
        return Estimate(value, kept[0], kept[1])
    return Estimate(value)


def _accuracy(audit: Mapping[str, Any] | None) -> Estimate:
    return Estimate.read((audit or {}).get("overall", {}).get("accuracy"))


def _unfairness(audit: Mapping[str, Any] | None, attribute: str | None, gap: str) -> Estimate:
    return Estimate.read((audit or {}).get("attributes", {}).get(attribute, {}).get("gaps", {}).get(gap))


def drawn_points(points: Sequence[Candidate]) -> list[Candidate]:
    """Those that are drawn: the front, the chosen one and the control group, and of very many others a sample."""
    return thinned(points, lambda point: point.on_front or point.chosen or point.control)


def draw_front(points: Sequence[Candidate], *, floor: Estimate, u_name: str = "Unfairness U") -> Markup:
    """The scatter with error bars of the front, the floor shaded, the chosen one ringed.

    Args:
        points: from ``candidates``.
        floor: the chosen network's U on the same split; its noise mean and 95 % point are drawn.
        u_name: what the search called unfairness.
    """
    shown = [point for point in points if point.on_front or point.chosen]
    u_values = [p.unfairness.value or 0.0 for p in points] + [_end(p.unfairness, "high") for p in shown]
    floors = [value for value in (floor.noise_mean, floor.noise_p95) if value is not None]
    a_values = [p.accuracy.value or 0.0 for p in points]
    a_values += [_end(p.accuracy, end) for p in shown for end in ("low", "high")]
    low, high = padded(a_values, at_least=0.05, floor=0.0)
    plot = Plot(
        x=Axis(0.0, padded([0.0, *u_values, *floors], at_least=0.05, floor=0.0)[1], f"{u_name} (less is better)", _two),
        y=Axis(low, min(high, 1.0), "Accuracy on the validation split (more is better)", lambda v: percent(v, 0)),
        height_px=400,
    )
    marks = _floor_marks(plot, floor) + [mark for point in drawn_points(points) for mark in _marks(plot, point)]
    return plot.draw(marks, alt=_alt(points))


def _floor_marks(plot: Plot, floor: Estimate) -> list[Markup]:
    if floor.noise_p95 is None:
        return []
    height = plot.base_px - plot.top_px
    says = (
        f"noise floor of the chosen network: mean {decimal(floor.noise_mean)}, "
        f"95th percentile {decimal(floor.noise_p95)}"
    )
    marks = [
        element(
            "rect", hover(says), x="0", width=plot.px(floor.noise_p95), y=plot.top_px, height=height, class_="floor"
        )
    ]
    if floor.noise_mean is not None:
        x = plot.px(floor.noise_mean)
        marks.append(element("line", hover(says), x1=x, x2=x, y1=plot.top_px, y2=plot.base_px, class_="floor-mean"))
    marks.append(element("text", "noise floor", x="0.8%", y=plot.top_px + 14, class_="note"))
    return marks


def _marks(plot: Plot, point: Candidate) -> list[Markup]:
    x, y = plot.px(point.unfairness.value or 0.0), plot.py(point.accuracy.value or 0.0)
    marks: list[Markup] = []
    if point.on_front or point.chosen:
        marks += _bars(plot, point, x, y)
    kind = "dot chosen" if point.chosen else "dot front" if point.on_front else "dot other"
    marks.append(element("circle", hover(point.says), cx=x, cy=y, r=point.radius_px, class_=kind))
    if point.chosen:
        marks.append(element("circle", cx=x, cy=y, r=point.radius_px + 4, class_="ring"))
        left = plot.x.share(point.unfairness.value or 0.0) > 0.25  # the crowd is usually on the right
        where = {"x": -point.radius_px - 9, "class_": "note strong end"} if left else {"x": point.radius_px + 9}
        inner = element("text", f"chosen, slot {point.slot}", **({"y": -8, "class_": "note strong"} | where))
        marks.append(element("svg", inner, x=x, y=y, overflow="visible"))
    return marks


def _bars(plot: Plot, point: Candidate, x: str, y: float) -> list[Markup]:
    marks = []
    u, a = point.unfairness, point.accuracy
    kind = "error chosen" if point.chosen else "error"
    if u.low is not None and u.high is not None:
        marks.append(element("line", x1=plot.px(u.low), x2=plot.px(u.high), y1=y, y2=y, class_=kind))
    if a.low is not None and a.high is not None:
        marks.append(element("line", x1=x, x2=x, y1=plot.py(a.low), y2=plot.py(a.high), class_=kind))
    return marks


def _end(estimate: Estimate, end: str) -> float:
    value = getattr(estimate, end)
    return value if value is not None else estimate.value or 0.0


def _two(value: float) -> str:
    return decimal(value, 2)


def _alt(points: Sequence[Candidate]) -> str:
    on_front = [point for point in points if point.on_front]
    chosen = [point.says for point in points if point.chosen]
    said = (
        f"Scatter of {len(points)} trained candidates, accuracy against unfairness; {len(on_front)} are on the front."
    )
    return f"{said} {chosen[0]}." if chosen else said
