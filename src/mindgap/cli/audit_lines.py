"""What ``mindgap audit`` prints: the findings in plain words, then figures; the rest is in the record."""

from __future__ import annotations

from typing import Any

from mindgap.cli.summary import aligned, number, printable, split_and_kinds
from mindgap.report.audited import single_label_audits
from mindgap.report.estimate import p_text
from mindgap.report.findings import findings
from mindgap.report.gap_families import HEADLINE
from mindgap.report.measures import measure_of
from mindgap.report.standing import Standing
from mindgap.report.verdict import Verdict, verdicts

Record = dict[str, Any]
_MOST = 12
"""Groups, findings or labels that are printed at most; the record has all."""


def audit_record_lines(record: Record) -> list[str]:
    """Lines on the audit of a predictions table: findings, overall, groups and gaps."""
    parts = single_label_audits(record)
    judged = verdicts(parts)
    lines = [_head(record), *_finding_lines(parts), *_overall_lines(record)]
    if record["task"] == "multi-label":
        return lines + _label_lines(parts, judged)
    for name, attribute in record["attributes"].items():
        lines += [_attribute_head(name, attribute), *_group_lines(attribute), *_gap_lines(name, attribute, judged[""])]
    return lines


def _head(record: Record) -> str:
    split, kinds = split_and_kinds(record)
    of = f" of {record['rows']}" if record.get("rows", record["n"]) != record["n"] else ""
    return printable(f"{record['source']}: {record['n']}{of} rows{split}, {kinds}")


def _finding_lines(parts: dict[str, Any]) -> list[str]:
    found = findings(parts, subject="model")
    ranked = sorted(found, key=lambda finding: ("shown", "not shown", "not defined").index(finding.kind))
    lines: list[str] = []
    for finding in ranked[:_MOST]:
        lines.append(printable(finding.title))
        lines += ["  " + printable(detail) for detail in finding.details[:1]]
    if len(ranked) > _MOST:
        shown = sum(finding.kind == "shown" for finding in ranked[_MOST:])
        lines.append(f"and {len(ranked) - _MOST} findings more, of which {shown} show a gap: see --json or --html")
    return lines


def _overall_lines(record: Record) -> list[str]:
    """The figures over all rows, and why others are not defined, several of one reason together."""
    what = "overall, mean over labels" if record["task"] == "multi-label" else "overall"
    figures = {name: value for name, value in record["overall"].items() if not _is_only_for_two_classes(name, value)}
    known = [f"{_words(name)} {number(value)}" for name, value in figures.items() if value["value"] is not None]
    reasons: dict[str, list[str]] = {}
    for name, value in figures.items():
        if value["value"] is None:
            reasons.setdefault(value["reason"], []).append(_words(name))
    lines = [f"{what}: " + ", ".join(known)] if known else []
    return lines + [printable(f"{what}, not defined: {', '.join(names)} ({why})") for why, names in reasons.items()]


def _is_only_for_two_classes(name: str, value: Record) -> bool:
    """A figure that many classes do not have; that is no news about these predictions."""
    return name == "positive_f1" and value["value"] is None


def _attribute_head(name: str, attribute: Record) -> str:
    unknown = f", unknown {attribute['unknown']}" if attribute["unknown"] else ""
    outside = attribute.get("out_of_range", 0)
    return printable(
        f"{name}: n = {attribute['n']}{unknown}" + (f", of which {outside} fit no group" if outside else "")
    )


def _group_lines(attribute: Record) -> list[str]:
    """The groups in their order; of many the lowest and the highest among those that are large enough to say."""
    groups = attribute["groups"]
    names = list(groups)
    if len(names) > _MOST:
        standing = Standing.of(attribute)
        ordered = [figure.name for figure in (*standing.ordered, *standing.left_out)]
        last = len(standing.ordered)
        names = ordered[: min(_MOST // 2, last)] + ordered[max(last - _MOST // 2, _MOST // 2) : last]
    figures = [
        key
        for key in next(iter(groups.values()))
        if key not in {"n", "flags"} and any(group[key]["value"] is not None for group in groups.values())
    ]
    rows = [["group", "n", *map(_words, figures), ""]]
    for name in names:
        values = [number(groups[name][key]) if key == "accuracy" else _plain(groups[name][key]) for key in figures]
        rows.append([name, str(groups[name]["n"]), *values, "small" if "small" in groups[name]["flags"] else ""])
    small = sum("small" in group["flags"] for group in groups.values())
    left = len(groups) - len(names)
    more = [f"  and {left} groups more; {small} of all {len(groups)} have under 30 rows"] if left else []
    return aligned(rows) + more


def _gap_lines(name: str, attribute: Record, judged: dict[tuple[str, str], Verdict]) -> list[str]:
    gaps = attribute["gaps"]
    shown = [key for key in HEADLINE if key in gaps]
    rows = [["gap", "value, 95 % interval", "noise floor: mean, 95 % point", "p", "p (Holm)"]]
    rows += [[measure_of(key).label, *_gap_cells(gaps[key], judged[name, key])] for key in shown]
    left = len(gaps) - len(shown)
    return aligned(rows) + ([f"  and {left} gaps more in the record (--json)"] if left else [])


def _gap_cells(gap: Record, verdict: Verdict) -> list[str]:
    if gap["value"] is None or gap.get("noise_p95") is None:
        return [number(gap), "–", "–", "–"]
    floor = f"{gap['noise_mean']:.3f}, {gap['noise_p95']:.3f}"
    return [number(gap), floor, p_text(gap["p_value"]), p_text(verdict.p_adjusted)]


def _label_lines(parts: dict[str, Any], judged: dict[str, dict[tuple[str, str], Verdict]]) -> list[str]:
    """One line per label and attribute, the smallest adjusted p first."""
    rows = []
    for label, part in parts.items():
        for name, attribute in part["attributes"].items():
            verdict, gap = judged[label][name, "unfairness"], attribute["gaps"]["unfairness"]
            p = 2.0 if verdict.p_adjusted is None else verdict.p_adjusted
            rows.append((p, [label, name, *_gap_cells(gap, verdict)]))
    rows.sort(key=lambda row: row[0])
    head = ["label", "attribute", "unfairness U", "noise floor: mean, 95 % point", "p", "p (Holm)"]
    left = len(rows) - _MOST
    more = [f"  and {left} lines more in the record (--json)"] if left > 0 else []
    return aligned([head, *(row for _, row in rows[:_MOST])]) + more


def _plain(value: Record) -> str:
    return "–" if value["value"] is None else f"{value['value']:.3f}"


def _words(key: str) -> str:
    return {"macro_f1": "macro F1", "macro_auroc": "macro AUROC", "ece": "ECE", "positive_f1": "positive F1"}.get(
        key, key.replace("_", " ")
    )
