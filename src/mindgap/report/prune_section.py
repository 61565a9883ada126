"""What a pruning did, iteration by iteration, and whether it helped beside the network before and the control."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mindgap.report.audited import single_label_audits
from mindgap.report.comparison_words import ComparisonFinding, comparison_findings, nothing_shown, numbers
from mindgap.report.estimate import Estimate, amount, count, decimal, listed
from mindgap.report.groups import metric_label
from mindgap.report.learning_curves import Curve, draw_curves
from mindgap.report.measures import measure_of
from mindgap.report.page import Section
from mindgap.report.run_files import RunFiles

Record = Mapping[str, Any]
_OVERALL = ("accuracy", "macro_f1")
_GO_ON = "To go on whatever validation says, allow any change: --min-gap-reduction -1 --max-accuracy-drop 1."
_SIZES = {"params": "Parameters", "macs": "multiply-adds"}
_GAPS = ("equalized_odds_abs_mean", "accuracy_ratio", "selection_rate_ratio", "abroca", "worst_group_accuracy")


@dataclass(frozen=True)
class CostRow:
    """What a network of the pruning is: its size, and what removing and fine-tuning took."""

    iteration: str
    removed: str
    channels: str
    weights: str
    params: str
    macs: str
    latency: str
    epochs: str
    passes: str


@dataclass(frozen=True)
class FigureTable:
    """Figures by iteration, over all images or one attribute's groups; all of the validation split."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Estimate, ...]], ...]


@dataclass(frozen=True)
class DecisionLine:
    """What was decided after an iteration, with the paired changes it rests on."""

    iteration: str
    word: str
    reason: str
    changes: tuple[str, ...]


def prune_sections(run: RunFiles) -> list[Section]:
    """The parts of the page that are about the pruning; none for a run of another verb."""
    record = run.prune
    if not record:
        return []
    content = {
        "prune_says": summary_sentences(record),
        "prune_findings": (found := prune_findings(record)),
        "prune_nothing": nothing_shown(found),
        "has_control": record["against_control"] is not None,
        "control_says": control_sentence(record),
        "cost_rows": [cost_row(record, step) for step in record["iterations"]],
        "prune_tables": list(figure_tables(record)),
        "decisions": [decision_line(record, step) for step in record["iterations"][1:]],
        "weight_drawings": list(weight_drawings(record)),
        "removed_lists": list(removed_lists(record)),
        "four_rows": list(row_tables(record)),
        "four_rows_missing": (record.get("table") or {}).get("missing"),
    }
    return [Section("prune", "What was removed", "Pruning", content)]


def summary_sentences(record: Record) -> list[str]:
    """How much was removed of what, what it saved, and why it ended."""
    kept = record["iterations"][record["kept"]]
    before, after = record["iterations"][0]["cost"], kept["cost"]
    layers = listed([f"{layer} ({had} → {kept['channels'][layer]})" for layer, had in _channels(record).items()])
    done = len(record["iterations"]) - 1
    said = f"{record['method']} ranked the channels over {listed(record['attributes'])}."
    if not record["kept"]:
        return [said, f"Nothing is removed: iteration {done} was taken back. {_capital(record['reason'])}.", _GO_ON]
    saved = ", ".join(f"{what} {amount(before[key])} → {amount(after[key])}" for key, what in _SIZES.items())
    timed = f"one image {decimal(before['latency_ms'], 2)} → {decimal(after['latency_ms'], 2)} ms"
    return [
        f"{said} Channels of {layers}: {record['kept']} iteration{'s' * (record['kept'] > 1)} kept of {done} done.",
        f"{saved}, {timed}, timed in turns on the machine below.",
        f"It ended as {record['reason']}.",
    ]


def prune_findings(record: Record) -> list[ComparisonFinding]:
    """What is shown on the test split, beside the control and beside the network before pruning."""
    compared = [one for one in (record["against_control"], record["comparison"]) if one is not None]
    found = [finding for one in compared for finding in comparison_findings(_last_alone(one))]
    rows = (record.get("table") or {}).get("comparison")
    return found + (comparison_findings(rows) if rows is not None else [])


def control_sentence(record: Record) -> str:
    """What the control's fine-tuning took; empty without one."""
    turns = ", ".join(f"{one['best_epoch']} of {one['epochs']}" for one in record["control"])
    passes = sum(one["image_passes"] for one in record["control"])
    return f"Its best epochs: {turns}; {amount(passes)} image passes." if turns else ""


def cost_row(record: Record, step: Record) -> CostRow:
    """One row of the table of sizes."""
    training = step.get("training") or {}
    removed = sum(len(of) for of in step["removed"].values())
    weights = step["weights"]
    return CostRow(
        iteration=_name(record, step),
        removed=count(removed) if step["iteration"] else "",
        channels=count(sum(step["channels"].values())),
        weights="" if weights is None else ", ".join(f"{name} {decimal(of, 2)}" for name, of in weights.items()),
        params=amount(step["cost"]["params"]),
        macs=amount(step["cost"]["macs"]),
        latency=decimal(step["cost"]["latency_ms"], 2),
        epochs=f"{training['best_epoch']} of {training['epochs']}" if training else "",
        passes=amount(training["image_passes"]) if training else "",
    )


def figure_tables(record: Record) -> Iterator[FigureTable]:
    """The iterations over all images, then over each attribute (of each label)."""
    yield from _tables(record, [(_name(record, step), step["validation"]) for step in record["iterations"]])


def row_tables(record: Record) -> Iterator[FigureTable]:
    """The four rows on the test split, likewise; none if they were not asked for, or there are no test images."""
    rows = (record.get("table") or {}).get("rows", {})
    if rows and all(row["test"] for row in rows.values()):
        yield from _tables(record, [(f"{name} ({_size(row)})", row["test"]) for name, row in rows.items()])


def _size(row: Record) -> str:
    cost = row["cost"]
    return f"{amount(cost['params'])} parameters, {amount(cost['macs'])} MACs, {decimal(cost['latency_ms'], 2)} ms"


def _tables(record: Record, steps: list[tuple[str, Record]]) -> Iterator[FigureTable]:
    overall = tuple(
        (name, tuple(Estimate.read(audit["overall"].get(key)) for key in _OVERALL)) for name, audit in steps
    )
    yield FigureTable("All images", tuple(metric_label(key) for key in _OVERALL), overall)
    gaps = tuple(dict.fromkeys((record["gap"], *_GAPS)))
    heads = tuple(measure_of(gap).label for gap in gaps)
    for label, first in single_label_audits(steps[0][1]).items():
        for attribute in record["attributes"]:
            if attribute not in first["attributes"]:
                continue
            rows = tuple(
                (name, tuple(Estimate.read(_gaps(audit, label, attribute).get(gap)) for gap in gaps))
                for name, audit in steps
            )
            yield FigureTable(f"{label}: {attribute}" if label else attribute, heads, rows)


def decision_line(record: Record, step: Record) -> DecisionLine:
    """What was decided after one iteration."""
    decision, gap = step["decision"], measure_of(record["gap"]).label
    word = "taken back" if decision["revert"] else "kept, the last" if decision["stop"] else "kept"
    changes = decision["changes"]
    told = list(_changes("accuracy, since the beginning", changes["accuracy"]))
    told += [line for name, of in _by_attribute(changes["gaps"]) for line in _changes(f"{gap}, {name}", of)]
    return DecisionLine(f"Iteration {step['iteration']}", word, decision["reason"], tuple(told))


def weight_drawings(record: Record) -> Iterator[tuple[str, Markup, tuple[str, ...]]]:
    """Title, drawing and legend of the attributes' weights while they were learned, one per iteration."""
    for step in record["iterations"]:
        path = step.get("weights_path")
        if path and len(path) > 1:
            names = tuple(record["attributes"])
            curves = [
                Curve(name, tuple((k, weights[number]) for k, weights in enumerate(path)))
                for number, name in enumerate(names)
            ]
            title = f"Weights before iteration {step['iteration']}"
            yield title, draw_curves("Weight", curves, x="Step"), names


def removed_lists(record: Record) -> Iterator[tuple[str, str, str]]:
    """Iteration, layer and the channels removed, by their numbers before pruning."""
    for step in record["iterations"][1:]:
        for layer, channels in step["removed"].items():
            yield _name(record, step), layer, ", ".join(map(str, sorted(channels)))


def _last_alone(comparison: Record) -> Record:
    """The comparison of the last model, the pruned one, with the first."""
    models = comparison["models"]
    return {**comparison, "models": [models[0], models[-1]]}


def _channels(record: Record) -> dict[str, int]:
    return dict(record["iterations"][0]["channels"])


def _name(record: Record, step: Record) -> str:
    number = step["iteration"]
    if number == 0:
        return "before"
    return f"{number}" if number <= record["kept"] else f"{number}, taken back"


def _gaps(audit: Record, label: str, attribute: str) -> Record:
    return single_label_audits(audit).get(label, {}).get("attributes", {}).get(attribute, {}).get("gaps", {})


def _by_attribute(gaps: Record) -> Iterator[tuple[str, Record | None]]:
    """Differences by attribute, or by label and attribute."""
    for name, of in gaps.items():
        if isinstance(of, Mapping) and "value" not in of:
            yield from ((f"{name}: {attribute}", one) for attribute, one in of.items())
        else:
            yield name, of


def _changes(what: str, found: Record | None) -> Iterator[str]:
    if found is None:
        yield f"{what}: not defined"
    elif "value" in found:
        yield numbers(found, what)
    else:
        yield from (numbers(one, f"{label}: {what}") for label, one in found.items())


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
