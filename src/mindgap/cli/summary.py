"""Short summaries for people, from the records that the files hold. A gap never stands without its noise floor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindgap.core.states import counted_states, state_words
from mindgap.report.cautions import arbitrary_choice

Record = Mapping[str, Any]


def printable(text: str, *, most: int = 600) -> str:
    """Text for a terminal: one line of limited length, in which no character steers the terminal."""
    plain = text.replace("\u202f", " ").replace("\u00a0", " ")
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in plain)
    return safe if len(safe) <= most else safe[: most - 1] + "…"


def aligned(rows: list[list[str]]) -> list[str]:
    """The rows as columns, the first one cut where it is very long."""
    cells = [[printable(cell, most=60) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    ]


def split_and_kinds(record: Record) -> tuple[str, str]:
    """How a headline names the split, with a blank before it and nothing for all rows, and the classes or labels."""
    split = record.get("options", {}).get("split", "all")
    kinds = f"{len(record['classes'])} classes" if "classes" in record else f"{len(record['labels'])} labels"
    return ("" if split == "all" else printable(f" (split {split})")), kinds


def number(value: Record) -> str:
    """A value with its interval, or why there is none."""
    if value["value"] is None:
        return f"not defined ({value['reason']})"
    text = f"{value['value']:.3f}"
    if value["low"] is not None:
        return f"{text} [{value['low']:.3f}, {value['high']:.3f}]"
    why = (value.get("reason") or "").removeprefix("no interval: ")
    return f"{text} (no interval: {why})" if why else text


def gap(value: Record) -> str:
    """A gap with its interval, its noise floor (which holds chance and case mix) and p, not adjusted."""
    if value["value"] is None:
        return number(value)
    if value.get("noise_p95") is None:
        text = number(value)
        return text if "no noise floor" in text else f"{text}; no noise floor"
    text = f"{number(value)}; chance and case mix {value['noise_mean']:.3f}, 95 % point {value['noise_p95']:.3f}"
    p = value.get("p_value")
    return text if p is None else f"{text}, p (not adjusted) = {p:.3f}"


def audit_lines(metrics: Record) -> list[str]:
    """Lines on the test split, the pooled folds, or else the validation split: accuracy, groups, gaps, noise floors."""
    audit, where = metrics.get("test"), "held-out folds" if metrics.get("folds") else "test"
    if audit is None:
        audit, where = metrics.get("validation"), "validation (the store has no test split)"
    if audit is None:
        return ["no figures: the store has neither a test nor a validation split"]
    if audit["task"] == "multi-label":
        lines = [f"{where}, n = {audit['n']}, mean over labels: accuracy {number(audit['overall']['accuracy'])}"]
        for name, label in audit["labels"].items():
            lines += [f"label {name}:", *("  " + line for line in _attribute_lines(label))]
        return lines
    return [f"{where}, n = {audit['n']}: accuracy {number(audit['overall']['accuracy'])}", *_attribute_lines(audit)]


def _attribute_lines(audit: Record) -> list[str]:
    lines: list[str] = []
    for name, attribute in audit["attributes"].items():
        for group, values in attribute["groups"].items():
            small = "  (small)" if "small" in values["flags"] else ""
            lines.append(f"  {name}={group}, n = {values['n']}: accuracy {number(values['accuracy'])}{small}")
        for key, title in (("unfairness", "U"), ("unfairness_standardized", "U at equal case mix")):
            if key in attribute["gaps"]:
                lines.append(f"  {title} ({name}): {gap(attribute['gaps'][key])}")
    return lines


def search_lines(record: Record) -> list[str]:
    """Lines on a finished search: how its trials ended, and which one was chosen."""
    trials = {trial["slot"]: trial for trial in record["trials"]}
    lines = [f"{len(trials)} trials: {counted_states(trial['state'] for trial in record['trials'])}"]
    lines += rung_lines(record.get("rungs"))
    if record["excluded_groups"]:
        small = ", ".join(record["excluded_groups"])
        lines.append(f"groups too small to steer the search, left out of U but not of batches: {small}")
    chosen = trials.get(record["chosen"])
    if chosen is not None:
        cost = f"{chosen['macs'] / 1e6:.1f} M MACs, {chosen['params'] / 1e3:.0f} k parameters"
        figures = f"validation accuracy {chosen['accuracy']:.3f}, U {chosen['unfairness']:.3f}"
        lines.append(f"chosen: slot {chosen['slot']}, {figures}, {cost}")
    if caution := arbitrary_choice(record):
        lines.append("caution: " + caution.replace("\u202f", " "))  # a page's narrow space, which a terminal may lack
    return lines


def rung_lines(rungs: Record | None) -> list[str]:
    """Lines on how far candidates were trained, what that spared, and how well lower rungs ranked them."""
    if rungs is None:
        return []
    reached = ", ".join(f"{n} to {epochs}" for n, epochs in zip(rungs["reached"], rungs["epochs"], strict=True))
    spared = f"{rungs['image_passes_without'] / rungs['image_passes']:.1f} times fewer image passes than all to the end"
    lines = [f"trained by epochs: {reached}; {spared}"]
    for rung in rungs["agreement"]:
        reasons = {rung[name]["reason"] for name in ("accuracy", "unfairness")}
        if None not in reasons and len(reasons) == 1:
            lines.append(f"rank at epoch {rung['epochs']} against the end: not known, {reasons.pop()}")
            continue
        taus = "; ".join(f"{name} {_tau(rung[name])}" for name in ("accuracy", "unfairness"))
        lines.append(f"rank at epoch {rung['epochs']} against the end, Kendall's τ, n = {rung['n']}: {taus}")
    return lines


def _tau(value: Record) -> str:
    return value["reason"] if value["tau"] is None else f"{value['tau']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"


def status_lines(status: Record) -> list[str]:
    """Lines on a running search, one per entry of the status record that has a value yet."""
    words = {key: key.replace("_", " ") for key in status} | {"pruned": state_words("pruned")}
    return [f"{words[key]}: {value}" for key, value in status.items() if value is not None]


def written_lines(*, json: object, html: object) -> list[str]:
    """Where the record and the page are, of those that were asked for."""
    return [f"{name}: {path}" for name, path in (("record", json), ("page", html)) if path is not None]
