"""The fronts of a tuning, a drawing per label, and underestimation before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mindgap.report.comparison_words import nothing_shown
from mindgap.report.drawing import Axis, Plot, element, hover, padded
from mindgap.report.estimate import Estimate, decimal, percent
from mindgap.report.gaps import draw_gap
from mindgap.report.measures import measure_of
from mindgap.report.page import Section
from mindgap.report.run_files import RunFiles
from mindgap.report.tune_words import (
    PARTS,
    figure,
    gap_label,
    label_sentence,
    rival_findings,
    tune_findings,
    tune_sentences,
)

Record = Mapping[str, Any]
MOST_DRAWN = 60


@dataclass(frozen=True)
class LabelRow:
    """A label's gap on the test split by model, each drawn against its floor on one scale."""

    label: str
    cells: tuple[tuple[str, Estimate, Markup], ...]


@dataclass(frozen=True)
class FrontFigure:
    """A label's front, drawn and as a table."""

    label: str
    drawing: Markup
    says: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...], bool], ...]


@dataclass(frozen=True)
class OptimismRow:
    """A figure of a label's chosen point on each part of the data, beside the trained head's."""

    label: str
    figure: str
    values: tuple[str, ...]


def tune_sections(run: RunFiles) -> list[Section]:
    """The part of the page that is about the tuning; none for a run of another verb."""
    record = run.tune
    if not record:
        return []
    labels = list(record["labels"])
    drawn = labels[:MOST_DRAWN]
    content = {
        "tune_says": tune_sentences(record),
        "tune_findings": (found := tune_findings(record)),
        "tune_nothing": nothing_shown(found),
        "rival_findings": (rivals := rival_findings(record)),
        "rival_nothing": nothing_shown(rivals),
        "has_hidden": bool(record["hidden"]),
        "better_side": "right" if measure_of(record["gap"]).larger_is_better else "left",
        "tune_gap": gap_label(audited_gap(record)),
        "tune_gap_says": measure_of(audited_gap(record)).says,
        "tune_models": list(next(iter(record["labels"].values()))["test"]),
        "label_rows": list(label_rows(record)),
        "front_figures": [front_figure(record, label) for label in drawn],
        "fronts_left": len(labels) - len(drawn),
        "has_thresholds": any(label["thresholds"] for label in record["labels"].values()),
        "optimism_parts": [PARTS[part] for part in _parts(record)],
        "optimism_rows": list(optimism_rows(record)),
    }
    return [Section("tune", "Heads tuned", "Tuning", content)]


def label_rows(record: Record) -> Iterator[LabelRow]:
    """UEI (or what was minimised) per label before and after (Blanzeisky & Cunningham, Fig. 4)."""
    gap = audited_gap(record)
    found = {
        name: {model: Estimate.read(of.get(gap)) for model, of in label["test"].items()}
        for name, label in record["labels"].items()
    }
    ends = [
        end
        for models in found.values()
        for one in models.values()
        for end in (one.value, one.high, one.noise_p95)
        if end is not None
    ]
    high = max([0.05, *ends]) * 1.04
    for name, models in found.items():
        cells = ((model, one, draw_gap(one, measure_of(gap), high=high)) for model, one in models.items())
        yield LabelRow(name, tuple(cells))


def front_figure(record: Record, name: str) -> FrontFigure:
    """A label's front on the images it was tuned on."""
    label, gap = record["labels"][name], record["gap"]
    figures = [key for key in label["front"][0] if key != "held_back"]
    has_held = "held_back" in label["front"][0]
    rows = [
        (
            f"{number}, trained" if number == label["trained_point"] else str(number),
            tuple(figure(key, point[key]) for key in figures)
            + tuple(figure(key, point["held_back"][key]) for key in figures if has_held),
            number == label["chosen"],
        )
        for number, point in enumerate(label["front"])
    ]
    heads = [figure_label(key) for key in figures]
    return FrontFigure(
        name,
        draw_label_front(label, gap, name=name),
        label_sentence(record, name),
        (*heads, *(f"{head}, held back" for head in heads if has_held)),
        tuple(rows),
    )


def draw_label_front(label: Record, gap: str, *, name: str) -> Markup:
    """Accuracy against a gap: the front, thresholds, the trained head, the chosen one and where it lies on test."""
    front, trained, test = label["front"], label["trained"]["tuned_on"], label["figures"]["test"]
    others = (label["thresholds"] or {}).get("front", [])
    known = [point for point in (*front, *others, trained, test) if point and point[gap] is not None]
    low, high = padded([point["accuracy"] for point in known], at_least=0.05, floor=0.0)
    begin, end = padded([point[gap] for point in known], at_least=0.05, floor=0.0)
    plot = Plot(
        x=Axis(begin, end, gap_label(gap), _two),
        y=Axis(low, min(high, 1.0), "Accuracy on the images tuned on", _percent),
        height_px=300,
    )
    marks = [
        _dot(plot, point, gap, f"point {n}", kind="dot front", r=4.5)
        for n, point in enumerate(front)
        if n != label["trained_point"]
    ]
    marks += [_dot(plot, point, gap, f"threshold {n}", kind="dot other", r=7.0) for n, point in enumerate(others)]
    marks.append(
        _dot(plot, trained, gap, f"point {label['trained_point']}, the trained head", kind="dot series-2", r=6.5)
    )
    number = label["chosen"]
    marks.append(_dot(plot, front[number], gap, f"chosen, point {number}", kind="dot chosen", r=6.5))
    if test is not None:
        marks.append(_dot(plot, test, gap, f"point {number} on the test split", kind="ring", r=6.5))
    alt = f"{name}: {len(front)} heads of the front. {_says(trained, gap, 'trained head')}. "
    return plot.draw(marks, alt=alt + _says(front[number], gap, f"chosen, point {number}") + ".")


def optimism_rows(record: Record) -> Iterator[OptimismRow]:
    """How much worse the chosen point is on images that it was not tuned on."""
    for name, label in record["labels"].items():
        for key in dict.fromkeys(("accuracy", record["gap"])):
            pairs = [(label["trained"][part], label["figures"][part]) for part in _parts(record)]
            values = tuple(f"{figure(key, before[key])} → {figure(key, after[key])}" for before, after in pairs)
            yield OptimismRow(name, figure_label(key), values)


def figure_label(name: str) -> str:
    """What a figure of a point is called."""
    return "Accuracy" if name == "accuracy" else gap_label(name)


def _parts(record: Record) -> list[str]:
    first = next(iter(record["labels"].values()))
    return [part for part in PARTS if first["figures"].get(part) is not None]


def audited_gap(record: Record) -> str:
    """The gap that was minimised, or UEI where that is none of an audit's."""
    gap = record["gap"]
    known = any(of.get(gap) for label in record["labels"].values() for of in label["test"].values())
    return gap if known else "uei"


def _dot(plot: Plot, point: Record, gap: str, what: str, *, kind: str, r: float) -> Markup:
    if point[gap] is None or point["accuracy"] is None:
        return Markup()
    where = {"cx": plot.px(point[gap]), "cy": plot.py(point["accuracy"]), "r": r}
    return element("circle", hover(_says(point, gap, what)), class_=kind, **where)


def _says(point: Record, gap: str, what: str) -> str:
    """The hover text: all figures of a head."""
    told = [f"{figure_label(key)} {figure(key, value)}" for key, value in point.items() if key != "held_back"]
    if held := point.get("held_back"):
        told.append(f"held back: accuracy {percent(held['accuracy'])}, {gap_label(gap)} {decimal(held[gap])}")
    return f"{what}: " + ", ".join(told)


def _two(value: float) -> str:
    return decimal(value, 2)


def _percent(value: float) -> str:
    return percent(value, 0)
