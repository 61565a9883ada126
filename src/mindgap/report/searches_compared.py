"""Searches side by side: a row each, and the hypervolume over image passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from mindgap.report.drawing import Axis, Plot, element, padded
from mindgap.report.estimate import amount, decimal, percent, signed

_MOST_SERIES = 6


@dataclass(frozen=True)
class SearchRow:
    """A search in words that are ready to print."""

    name: str
    searcher: str
    seeds: str
    trials: str
    image_passes: str
    final: str
    at_equal_passes: str
    difference: str


def search_rows(record: Mapping[str, Any]) -> list[SearchRow]:
    """A row per search of what ``compare_searches`` found; the first has no difference."""
    return [
        SearchRow(
            name=search["name"],
            searcher=search["searcher"],
            seeds=str(len(search["seeds"])),
            trials=", ".join(map(str, search["trials"])),
            image_passes=", ".join(map(amount, search["image_passes"])),
            final=_with_interval(search["final"]),
            at_equal_passes=_with_interval(search["at_equal_passes"]),
            difference=_with_interval(search.get("difference_at_equal_passes"), write=signed),
        )
        for search in record["searches"]
    ]


def reference_sentence(record: Mapping[str, Any]) -> str:
    """What the hypervolume is measured from, and at how many passes searches are equal."""
    reference = record["reference"]
    return (
        f"share of the box from accuracy {percent(reference['accuracy'])}, U {decimal(reference['unfairness'])} and "
        f"{amount(reference['macs'])} MACs (U and MACs a tenth beyond the worst of any) to accuracy 1, U 0, no MACs; "
        f"equal passes are {amount(record['equal_passes'])} images{_epochs_words(record['searches'])}"
    )


def _epochs_words(searches: Sequence[Mapping[str, Any]]) -> str:
    """That candidates were not trained equally long, which moves hypervolumes too; nothing if they were."""
    if len({tuple(search["epochs"]) for search in searches}) < 2:
        return ""
    told = ", ".join(f"{search['name']} {'/'.join(map(str, search['epochs'])) or 'none'}" for search in searches)
    return f"; candidates were not trained equally long (epochs: {told}), so a difference is not the searcher's alone"


def searches_content(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the section's template needs."""
    if record["reason"] is not None:
        return {"search_reason": record["reason"], "search_rows": [], "search_drawing": None, "search_legend": []}
    return {
        "search_reason": None,
        "search_reference": reference_sentence(record),
        "search_rows": search_rows(record),
        "search_drawing": draw_searches(record["searches"]),
        "search_legend": [search["name"] for search in record["searches"]][:_MOST_SERIES],
    }


def draw_searches(searches: Sequence[Mapping[str, Any]]) -> Markup:
    """Hypervolume over image passes, a line per seed and a colour per search."""
    shown = searches[:_MOST_SERIES]
    curves = [(k, curve) for k, search in enumerate(shown) for curve in search["curves"]]
    last = max(curve["image_passes"][-1] for _, curve in curves)
    low, high = padded([value for _, curve in curves for value in curve["hypervolume"]], at_least=0.02, floor=0.0)
    plot = Plot(
        x=Axis(0.0, max(last, 1.0), "Image passes", amount),
        y=Axis(low, high, "Hypervolume", lambda value: decimal(value, 2)),
        height_px=280,
    )
    ends = "; ".join(f"{search['name']} ends at {decimal(search['final']['value'])}" for search in shown)
    marks = [mark for k, curve in curves for mark in _steps(plot, curve, k)]
    return plot.draw(marks, alt=f"Hypervolume over image passes: {ends}.")


def _steps(plot: Plot, curve: Mapping[str, Sequence[float]], k: int) -> list[Markup]:
    points = list(zip(curve["image_passes"], curve["hypervolume"], strict=True))
    marks = []
    for (start, before), (end, after) in pairwise(points):
        x1, x2, y1, y2 = plot.px(start), plot.px(end), plot.py(before), plot.py(after)
        marks.append(element("line", x1=x1, x2=x2, y1=y1, y2=y1, class_=f"curve series-{k}"))
        marks.append(element("line", x1=x2, x2=x2, y1=y1, y2=y2, class_=f"curve series-{k}"))
    return marks


def _with_interval(value: Mapping[str, Any] | None, *, write: Any = decimal) -> str:
    if value is None:
        return "–"
    if value["low"] is None:
        return f"{write(value['value'])} ({value['reason']})"
    return f"{write(value['value'])} [{write(value['low'])}, {write(value['high'])}]"
