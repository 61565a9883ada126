"""Differences between two models as rows of a table, each drawn with its interval on both sides of zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mindgap.report.comparison_words import numbers
from mindgap.report.drawing import at, element, hover
from mindgap.report.estimate import Estimate
from mindgap.report.gap_families import families, headline
from mindgap.report.groups import metric_label, whisker
from mindgap.report.measures import in_page_order, measure_of

Record = Mapping[str, Any]


@dataclass(frozen=True)
class DifferenceRow:
    """One difference.

    Attributes:
        label, says: what is compared, and what it is.
        record: the difference.
        drawing: it with its interval; the dashed line is no difference.
    """

    label: str
    says: str
    record: Record
    drawing: Markup

    @property
    def shown(self) -> bool:
        """Whether a difference is shown."""
        return self.record["reading"] in {"better", "worse"}

    @property
    def reading(self) -> str:
        """What may be said of it, and why if it is not judged."""
        why = self.record["why"]
        return self.record["reading"] + (f": {why}" if why and self.record["reading"] == "not judged" else "")


@dataclass(frozen=True)
class AttributeTables:
    """The tables of one attribute: the gaps that lead, the others by family, and every group."""

    name: str
    n: int
    leading: list[DifferenceRow]
    others: dict[str, list[DifferenceRow]]
    groups: dict[str, list[DifferenceRow]]


@dataclass(frozen=True)
class ModelTables:
    """The tables of one model beside the baseline, on one label (empty where the task has none)."""

    model: str
    baseline: str
    label: str
    overall: list[DifferenceRow]
    attributes: list[AttributeTables]


def model_tables(part: Record, model: str, *, baseline: str, label: str) -> ModelTables:
    """All tables of one model."""
    overall = {name: of[model] for name, of in part["overall"].items()}
    attributes = [_attribute(name, attribute, model) for name, attribute in part["attributes"].items()]
    return ModelTables(model, baseline, label, _rows(overall, list(overall)), attributes)


def _attribute(name: str, attribute: Record, model: str) -> AttributeTables:
    gaps = {key: of[model] for key, of in attribute["gaps"].items()}
    names = in_page_order(list(gaps))
    groups = {
        f"{group} (n = {figures['n']})": _rows({key: of[model] for key, of in figures.items() if key != "n"})
        for group, figures in attribute["groups"].items()
    }
    return AttributeTables(
        name=name,
        n=attribute["n"],
        leading=_rows(gaps, headline(names), gap=True),
        others={title: _rows(gaps, of_family, gap=True) for title, of_family in families(names).items()},
        groups=groups,
    )


def _rows(records: Record, names: Sequence[str] | None = None, *, gap: bool = False) -> list[DifferenceRow]:
    """Rows on one scale; a sum over classes has its own."""
    names = list(records) if names is None else names
    shared = _end([records[name] for name in names if not (gap and measure_of(name).own_scale)])
    rows: list[DifferenceRow] = []
    for name in names:
        label, says = (measure_of(name).label, measure_of(name).says) if gap else (metric_label(name), "")
        end = _end([records[name]]) if gap and measure_of(name).own_scale else shared
        rows.append(DifferenceRow(label, says, records[name], draw_difference(records[name], label, end=end)))
    return rows


def _end(records: Sequence[Record]) -> float:
    ends = [abs(record[key]) for record in records for key in ("value", "low", "high") if record[key] is not None]
    return max([0.02, *ends]) * 1.04


def draw_difference(record: Record, label: str, *, end: float) -> Markup:
    """One difference on a scale from −end to end: a dot with its interval, and a dashed line at 0."""
    if record["value"] is None:
        return element("span", f"not defined: {record['reason']}", class_="undefined")
    alt = numbers(record, label)
    marks = [
        element("rect", x="0", y=3, width="100%", height=18, class_="track"),
        element("line", hover("no difference"), x1=at(0.5), x2=at(0.5), y1=0, y2=24, class_="reference"),
        *whisker(Estimate(record["value"], record["low"], record["high"]), low=-end, high=end, y=12),
    ]
    return element("svg", hover(alt), *marks, class_="cell", width="100%", height=24, role="img", aria_label=alt)
