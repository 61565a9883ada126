"""What ``mindgap compare`` prints: what may be said first, then the differences; the rest is in the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindgap.cli.summary import aligned, printable, split_and_kinds
from mindgap.report.comparison_words import caveat, comparison_findings, others, seed_rows, seeds_compared
from mindgap.report.estimate import decimal, p_text, signed
from mindgap.report.gap_families import HEADLINE
from mindgap.report.groups import metric_label
from mindgap.report.measures import measure_of
from mindgap.report.searches_compared import reference_sentence, search_rows

Record = Mapping[str, Any]
_MOST = 12


def compare_lines(record: Record) -> list[str]:
    """Lines on a comparison."""
    lines = [_head(record), *_model_lines(record)]
    found = comparison_findings(record)
    for finding in found[:_MOST]:
        lines.append(printable(finding.title))
        lines += ["  " + printable(detail) for detail in finding.details]
    if len(found) > _MOST:
        lines.append(f"and {len(found) - _MOST} findings more: see --json or --html")
    if record["task"] == "single-label":
        lines += _tables(record)
    if any(len(model["seeds"]) > 1 for model in record["models"]):
        lines += _seed_lines(record)
    if "searches" in record:
        lines += _search_lines(record["searches"])
    return [*lines, caveat(record)]


def _head(record: Record) -> str:
    split, kinds = split_and_kinds(record)
    models = f"{len(record['models'])} models" if others(record) else "one model, nothing to compare it with,"
    return f"{models} on the same {record['n']} rows{split}, {kinds}"


def _model_lines(record: Record) -> list[str]:
    lines = []
    for k, model in enumerate(record["models"]):
        seeds = [str(seed) for seed in model["seeds"] if seed is not None]
        told = f", seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}" if seeds else ""
        if k and (compared := seeds_compared(model, record["models"][0])):
            told += f"; {compared}"
        lines.append(printable(f"{'baseline' if k == 0 else 'model'}: {model['name']}{told}"))
    return lines


def _tables(record: Record) -> list[str]:
    lines: list[str] = []
    for model in others(record):
        head = ["", record["baseline"], model, "difference, 95 % interval", "p (Holm)", "reading"]
        rows = [head, *(_row(metric_label(name), of[model]) for name, of in record["overall"].items())]
        lines += ["overall:", *aligned(rows)]
        for name, attribute in record["attributes"].items():
            gaps = attribute["gaps"]
            shown = dict.fromkeys([record["gap"], *HEADLINE])
            rows = [head, *(_row(measure_of(key).label, gaps[key][model]) for key in shown if key in gaps)]
            left = len(gaps) - len(rows) + 1
            more = [f"  and {left} gaps more in the record (--json)"] if left > 0 else []
            lines += [printable(f"{name}: n = {attribute['n']}"), *aligned(rows), *more]
    return lines


def _search_lines(record: Record) -> list[str]:
    if record["reason"] is not None:
        return [printable(f"searches: not compared, {record['reason']}")]
    rows = [["search", "searcher", "seeds", "hypervolume", "at equal passes", "equal passes, less the first"]]
    rows += [
        [row.name, row.searcher, row.seeds, row.final, row.at_equal_passes, row.difference]
        for row in search_rows(record)
    ]
    return [printable(f"searches: {reference_sentence(record)}"), *aligned(rows)]


def _row(name: str, record: Record) -> list[str]:
    if record["value"] is None:
        return [name, "–", "–", f"not defined ({record['reason']})", "–", "–"]
    ends = "no interval" if record["low"] is None else f"[{signed(record['low'])}, {signed(record['high'])}]"
    figures = [decimal(record["first"]), decimal(record["second"]), f"{signed(record['value'])} {ends}"]
    return [name, *figures, p_text(record["p_holm"]), record["reading"]]


def _seed_lines(record: Record) -> list[str]:
    rows = [["model", "over", "figure", "seeds", "mean ± sd", "mean 95 % interval", "each"]]
    rows += [
        [
            row.model,
            row.attribute or "all rows",
            row.label,
            str(row.n_seeds),
            row.text,
            row.mean_interval,
            ", ".join(row.each),
        ]
        for row in seed_rows(record)
    ]
    return ["seeds:", *aligned(rows)]
