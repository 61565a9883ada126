"""A short summary for people of a data set's audit."""

from __future__ import annotations

from typing import Any

from mindgap.cli.summary import printable
from mindgap.report.store_findings import StoreFinding, store_findings

Record = dict[str, Any]


def store_lines(record: Record) -> list[str]:
    """Lines on what a data set can and cannot answer: its size, who is too few, leaks, and the smallest gap to show."""
    splits = ", ".join(f"{name} {split['n']}" for name, split in record["splits"].items())
    kind = "labels" if record["task"] == "multi-label" else "classes"
    lines = [
        f"{record['n']} images, {len(record['classes'])} {kind}, {record['clusters']['n']} clusters; {splits}",
        *(line for finding in store_findings(record) for line in _finding_lines(finding)),
    ]
    found = next(iter(record["attributes"].values()), {}).get("detectable")
    if found:
        clustered = f", correlation {found['icc']:g} within a cluster" if found["clustered"] else ""
        lines.append(
            f"to show: at 5 %, two-sided, in 80 % of samples of this size ({found['split']}); assumed: accuracy "
            f"{found['accuracy']:.0%} in the rest{clustered}"
        )
    return lines


def _finding_lines(finding: StoreFinding) -> list[str]:
    title = f"caution: {finding.title}" if finding.kind == "shown" else finding.title
    return [printable(title), *("  " + printable(detail) for detail in finding.details)]
