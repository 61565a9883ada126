"""What ``reproduce`` prints: what held up, the table, and where the page is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgap.cli.summary import aligned
from mindgap.report.reproduced_words import Cell, claim_lines, data_sentence, table_rows, verdict_sentence


def reproduce_lines(out: Path, record: Mapping[str, Any]) -> list[str]:
    """Lines on a reproduction."""
    lines = [record["title"], f"the paper: {record['data']}", f"here: {data_sentence(record)}"]
    if record["rows"]:
        rows = [["row", *(figure["label"] for figure in record["figures"])]]
        rows += [[name, *(_text(cell) for cell in cells)] for name, cells in table_rows(record)]
        lines += ["paper → here (interval, noise floor):", *aligned(rows)]
    lines += [f"{line.says}: {line.verdict} ({line.behind})" for line in claim_lines(record)]
    return [*lines, verdict_sentence(record), f"report: {out / 'report.html'}"]


def _text(cell: Cell) -> str:
    return (f"{cell.paper} → " if cell.paper else "") + f"{cell.ours} ({cell.under})"
