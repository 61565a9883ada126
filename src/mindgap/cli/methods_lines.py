"""What ``compare`` prints of methods trained on a store: the verdicts first, then the figures they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindgap.cli.summary import aligned, printable
from mindgap.report.methods_rows import (
    attribute_tables,
    budget_sentence,
    failed_lines,
    method_rows,
    overall_heads,
    seeds_sentence,
)

_MOST_FAILED = 8


def methods_lines(record: Mapping[str, Any]) -> list[str]:
    """Lines on a comparison of methods."""
    tables = attribute_tables(record)
    lines = [
        f"{len(record['methods'])} methods, {record['network']}, over {record['attribute']}",
        budget_sentence(record),
    ]
    if record["not_compared"]:
        lines.append(f"not compared: {record['not_compared']}")
    lines += [sentence for table in tables for _, _, sentence in table.verdicts]
    rows = [["method", *overall_heads(), "seeds", "image passes", "seconds", "options"]]
    rows += [
        [row.name, *(figure.mean for figure in row.figures), row.seeds, row.passes, row.seconds, row.options]
        for row in method_rows(record)
    ]
    lines += ["test figures, mean ± sd between seeds:", *aligned(rows)]
    for table in tables:
        gaps = [["method", *table.heads]]
        gaps += [[name, *(figure.mean for figure in figures)] for name, figures in table.rows]
        lines += [f"gaps over {table.name}:", *aligned(gaps)]
    failed = failed_lines(record)
    lines += [f"failed: {line}" for line in failed[:_MOST_FAILED]]
    if len(failed) > _MOST_FAILED:
        lines.append(f"and {len(failed) - _MOST_FAILED} failed runs more: see compare.json")
    if len(record["seeds"]) == 1:
        lines.append(seeds_sentence(record).partition(":")[0] + ".")
    return [printable(line) for line in lines]
