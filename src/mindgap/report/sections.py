"""The parts of a page in their order, each with what its template needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindgap.core.errors import MindgapError
from mindgap.metrics.predictions import read_predictions
from mindgap.report.audited import audit_views, single_label_audits
from mindgap.report.blend_section import blend_sections
from mindgap.report.blend_settings import blended_sentence, blends
from mindgap.report.drawn_predictions import drawn_sections
from mindgap.report.estimate import Estimate, amount, decimal, size
from mindgap.report.findings import findings
from mindgap.report.floor_words import floor_words
from mindgap.report.folds import fold_table
from mindgap.report.front import candidates, draw_front, drawn_points
from mindgap.report.key_figures import attribute_figures, rate_figure
from mindgap.report.leading import leading_attribute, run_cautions, shares_of_batches, training_counts
from mindgap.report.learning_curves import curve_plots
from mindgap.report.limits import data_limits
from mindgap.report.mitigation_figures import mitigation_sections
from mindgap.report.network_drawing import draw_network, ratio_rows, read_architecture
from mindgap.report.origin import commands, option_rows, origin_rows
from mindgap.report.overview import fold, overview
from mindgap.report.page import KeyFigure, Section
from mindgap.report.prune_section import prune_sections
from mindgap.report.run_files import RunFiles
from mindgap.report.rungs import rung_rows, spared_sentence
from mindgap.report.search_progress import draw_progress, drawn_trials, states_sentence, top_rows, unfinished
from mindgap.report.thinning import MOST_LISTED, listed, listed_sentence, special_slots, thinned_sentence
from mindgap.report.tune_section import tune_sections
from mindgap.report.verdict import verdicts
from mindgap.report.without_groups import without_groups_sections

SPECIAL = "the front, the best five by reward, the control group"


def sections(run: RunFiles) -> list[Section]:
    """All parts of the page of this run."""
    searched = run.verb == "search"
    split, audit = run.audit
    judged_on = "held-out folds" if run.metrics.get("folds") else f"{split} split"
    views = audit_views(audit, lead=leading_attribute(run))
    parts = [
        Section("summary", "In plain words", "In plain words", _summary(run)),
        *prune_sections(run),
        *tune_sections(run),
        Section("groups", "Groups side by side", "Groups", {"audits": views, "judged_on": judged_on}),
        Section("gaps", "Gaps against their noise floors", "Gaps and floors", {"floor_words": floor_words(audit)}),
        *without_groups_sections(run),
        *_drawn(run),
    ]
    if run.metrics.get("folds"):
        parts.append(Section("folds", "Fold by fold", "Folds", fold_table(run.metrics["folds"])))
    if searched:
        parts.append(Section("front", "What the search found", "The front", _front(run)))
    title = "The chosen network" if searched else "The network"
    parts.append(Section("network", title, title, _network(run)))
    if searched:
        parts.append(Section("search", "How the search went", "Search progress", _search(run)))
        if run.search.get("rungs"):
            parts.append(Section("rungs", "Rung by rung", "Rungs", _rungs(run.search["rungs"])))
    return [
        *parts,
        Section("curves", "Learning curves", "Learning curves", {"curves": curve_plots(run.log)}),
        *mitigation_sections(run),
        *blend_sections(run),
        Section("limits", "What the data cannot answer", "What it cannot answer", {"limits": _limits(run)}),
        Section("origin", "Where it comes from", "Provenance", _origin(run)),
        Section("reading", "How to read it", "How to read it"),
    ]


def _drawn(run: RunFiles) -> list[Section]:
    """Curves, calibration and confusion from the run's own predictions; nothing where it kept none of these rows."""
    split, audit = run.audit
    parts = single_label_audits(audit)
    attributes = list(next(iter(parts.values()), {}).get("attributes", {}))
    table = run.path / "predictions.parquet"
    if not attributes or not table.is_file():
        return []
    try:
        predictions = read_predictions(table, attributes=attributes, split=split)
    except MindgapError:  # a table of other rows or attributes than those audited
        return []
    return drawn_sections(parts, predictions) if predictions.n == audit.get("n") else []


def _summary(run: RunFiles) -> dict[str, Any]:
    split, audit = run.audit
    subject = "chosen network" if run.verb == "search" else "network"
    note = _split_note(run, split, subject)
    lead = leading_attribute(run)
    found = findings(single_label_audits(audit), lead=lead, subject=subject)
    first, more = fold(found)
    return {
        "split_note": note,
        "cautions": run_cautions(run),
        "overview": overview(found),
        "findings": first,
        "more_findings": more,
        "key_figures": _key_figures(run, audit, lead),
    }


def _split_note(run: RunFiles, split: str, subject: str) -> str:
    folds = (run.metrics.get("folds") or {}).get("k")
    if folds:
        return (
            f"Figures pooled over {folds} folds: every image was judged by a network of this kind that saw neither it "
            "nor its cluster."
        )
    if not run.audit[1]:
        return "There is no network to speak of: no candidate was trained to the end."
    if split == "test":
        return (
            f"Figures of the {subject} on the test split, {test_reading(run)}. "
            "Other runs on the same store read it too: a choice among runs by these figures would flatter them."
        )
    said = f"The test split was not evaluated. Figures of the {subject} on the validation split"
    return said + (", which steered its choice: they flatter it." if run.verb == "search" else ".")


def test_reading(run: RunFiles) -> str:
    """How often the test split was read, in words that follow its name."""
    if run.test_reads == 1:
        return "read once in this run, after everything was decided"
    if run.verb == "tune":
        return f"read {run.test_reads} times in this run; a point that was picked after a reading is flattered by it"
    return (
        f"read {run.test_reads} times in this run, which was given more trials or was stopped while reading; if an "
        "earlier reading led to going on, these figures flatter it"
    )


def _key_figures(run: RunFiles, audit: Mapping[str, Any], lead: str | None) -> list[KeyFigure]:
    overall = audit.get("overall", {})
    figures = [
        rate_figure("Accuracy", overall.get("accuracy")),
        rate_figure("Balanced accuracy", overall.get("balanced_accuracy")),
    ]
    if lead is not None and lead in audit.get("attributes", {}):
        judged = verdicts(single_label_audits(audit))[""]
        figures += attribute_figures(
            lead, audit["attributes"][lead], judged.get((lead, "unfairness")), floor=floor_words(audit)
        )
    cost = run.metrics.get("cost") or {}
    latency = cost.get("latency_ms")
    timed = (
        "latency not measured" if latency is None else f"{decimal(latency, 1)} ms for one image on the machine below"
    )
    figures.append(KeyFigure("Cost of one image", f"{amount(cost.get('macs'))} MACs", timed))
    figures.append(KeyFigure("Parameters", amount(cost.get("params")), "weights and biases"))
    return figures


def _front(run: RunFiles) -> dict[str, Any]:
    lead = leading_attribute(run)
    points = candidates(run.search, _with_chosen(run), attribute=lead)
    validation = run.metrics.get("validation") or {}
    chosen = next((point for point in points if point.chosen), None)
    floor = chosen.unfairness if chosen and chosen.unfairness.has_floor else Estimate(None, reason="not recorded")
    with_bars = [point for point in points if point.on_front and point.accuracy.has_interval]
    u_name = "Standardised U" if run.search.get("unfairness") == "standardized" else "Unfairness U"
    caption = f"Accuracy against the gap over {lead}, {size(validation.get('n'))} validation images. "
    caption += _bars_sentence(len(with_bars), sum(point.on_front for point in points))
    drawn = len(drawn_points(points))
    caption += thinned_sentence(drawn, len(points), "the front, the chosen one, the control group")
    groups = validation.get("attributes", {}).get(lead, {}).get("groups", {})
    top, names = top_rows(run.search, sizes={name: group.get("n") or 0 for name, group in groups.items()})
    return {
        "front_drawing": draw_front(points, floor=floor, u_name=u_name) if points else None,
        "front_caption": caption,
        "front_points": sorted((p for p in points if p.on_front or p.chosen), key=lambda p: p.unfairness.value or 0.0),
        "top": top,
        "top_groups": names,
        "test_reading": test_reading(run) if run.test_reads else "",
    }


def _with_chosen(run: RunFiles) -> dict[int, Any]:
    """AUDITs by slot; the chosen one's stands in ``metrics.json`` too."""
    slot, validation = run.search.get("chosen"), run.metrics.get("validation")
    return {slot: validation, **run.trials} if slot is not None and validation else run.trials


def _bars_sentence(with_bars: int, on_front: int) -> str:
    if with_bars == 0:
        return "Intervals of these candidates were not recorded."
    if with_bars < on_front:
        return f"Lines: 95 % intervals, recorded for {with_bars} of the {on_front} on the front."
    return "Lines: 95 % intervals of those on the front."


def _network(run: RunFiles) -> dict[str, Any]:
    architecture, missing = read_architecture(run.architecture)
    blocks, says = [], ""
    if architecture is not None:
        try:
            blocks = draw_network(architecture)
        except MindgapError as error:
            missing = str(error)
        says = (
            f"{architecture.name}: {len(architecture.blocks)} blocks for images of {architecture.input_px} px "
            f"and {architecture.num_classes} classes."
        )
    counts, ratios = training_counts(run), shares_of_batches(run)
    return {
        "blocks": blocks,
        "network_says": says,
        "network_missing": missing,
        "ratio_rows": ratio_rows(ratios, counts) if ratios or counts else [],
        "ratio_note": _ratio_note(leading_attribute(run), ratios),
    }


def _ratio_note(lead: str | None, ratios: object) -> str:
    if not ratios:
        return f"Batches followed the natural shares of {lead}."
    return (
        f"Share of each group of {lead} in a training batch, beside its natural share of the training images. "
        "A share above the natural one repeats the group's images more often; it adds none."
    )


def _search(run: RunFiles) -> dict[str, Any]:
    trials, special = run.search.get("trials", []), special_slots(run.search)
    in_table, not_used = listed(trials, special), unfinished(trials)
    drawn = len(drawn_trials(trials, special))
    blank: dict[str, Any] = dict.fromkeys(("state", "reward", "accuracy", "unfairness", "macs", "params", "epochs"))
    blended = {trial["slot"] for trial in trials if blends(trial, run.options)}
    return {
        "states_sentence": states_sentence(trials),
        "blended": blended if len(blended) < len(trials) else (),
        "blended_sentence": blended_sentence(trials, run.options),
        "progress_drawing": draw_progress(trials, special),
        "progress_drawn": thinned_sentence(drawn, len(trials), SPECIAL),
        "trials": [{**blank, **trial} for trial in in_table],
        "trials_listed": listed_sentence(len(in_table), len(trials), f"{SPECIAL}, then the highest rewards"),
        "unfinished": not_used[:MOST_LISTED],
        "unfinished_listed": listed_sentence(len(not_used[:MOST_LISTED]), len(not_used), "the first by slot"),
    }


def _rungs(rungs: Mapping[str, Any]) -> dict[str, Any]:
    return {"rungs": rung_rows(rungs), "spared": spared_sentence(rungs)}


def _limits(run: RunFiles) -> list[str]:
    named = {}
    for split in ("test", "validation"):
        where = "held-out folds" if run.metrics.get("folds") else f"{split} split"
        for label, audit in single_label_audits(run.metrics.get(split) or {}).items():
            named[f"{where} (label {label})" if label else where] = audit
    return data_limits(named, store=run.store, excluded_groups=run.search.get("excluded_groups") or ())


def _origin(run: RunFiles) -> dict[str, Any]:
    return {"origin": origin_rows(run), "commands": commands(run), "options": option_rows(run.options)}
