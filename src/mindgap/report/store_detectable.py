"""How small a gap a data set could show, laid out for the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mindgap.report.estimate import decimal, percent
from mindgap.report.store_drawing import draw_detectable
from mindgap.report.store_findings import chance_sentence

Record = Mapping[str, Any]


@dataclass(frozen=True)
class DetectableRow:
    """What one group could show."""

    name: str
    n: int
    clusters: int
    effective: str
    drawing: Markup
    differences: tuple[str, ...]
    unfairness: str
    noise: str
    reason: str


def detectable_gaps(record: Record) -> dict[str, Any]:
    """What the template of the smallest gaps needs."""
    attributes = []
    for name, part in record["attributes"].items():
        found = part["detectable"]
        values = [f["versus_rest"]["value"] or 0.0 for f in found["groups"].values()]
        most = max(1, math.ceil(10 * max(values) - 1e-9)) / 10
        attributes.append(
            {
                "name": name,
                "rows": [_detectable_row(group, figures, found, most) for group, figures in found["groups"].items()],
                "scale": decimal(100 * most, 0),
                "pairs": _pairs(found),
                "chance": chance_sentence(found),
            }
        )
    first = next(iter(record["attributes"].values()))["detectable"] if record["attributes"] else {}
    return {
        "detectable": attributes,
        "accuracies": [percent(float(a), 0) for a in first.get("by_accuracy", {})],
        "assumed_accuracy": percent(first.get("accuracy"), 0),
    }


def _detectable_row(name: str, figures: Record, found: Record, most: float) -> DetectableRow:
    versus, unfair = figures["versus_rest"], figures["unfairness"]
    at_each = tuple(_points(by["groups"][name]) for by in found["by_accuracy"].values())
    return DetectableRow(
        name,
        figures["n"],
        figures["clusters"],
        decimal(figures["effective_n"], 0),
        draw_detectable(name, versus["value"], reason=versus["reason"], most=most),
        at_each,
        _points(unfair["worse_by"]),
        "–" if unfair["worse_by"] is None else f"{decimal(unfair['expected'])} / {decimal(unfair['noise_p95'])}",
        _why_not(versus, unfair),
    )


def _why_not(versus: Record, unfair: Record) -> str:
    if versus["reason"]:
        return f"nothing shows: {versus['reason']}"
    return f"U does not show it, {unfair['reason']}" if unfair["reason"] else ""


def _points(share: float | None) -> str:
    return "–" if share is None else decimal(100 * share, 1)


def _pairs(found: Record) -> list[tuple[str, str, list[str]]]:
    """Label, groups and δ at each assumed accuracy, of the two largest groups and the two that tell least."""
    labels = {"largest_pair": "the two largest groups", "worst_pair": "the two groups that tell least"}
    return [
        (label, " and ".join(found[key]["groups"] or ["–"]), [_points(by[key]) for by in found["by_accuracy"].values()])
        for key, label in labels.items()
    ]
