"""What ``mindgap prune`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgap.cli.summary import aligned, printable


def prune_lines(out: Path, record: Mapping[str, Any]) -> list[str]:
    """What was removed, what the figures say, and where the rest is."""
    from mindgap.report.prune_section import cost_row, figure_tables, prune_findings, summary_sentences

    lines = [printable(line) for line in summary_sentences(record)]
    rows = [["iteration", "channels", "params", "MACs", "ms"]]
    rows += [
        [row.iteration, row.channels, row.params, row.macs, row.latency]
        for row in (cost_row(record, step) for step in record["iterations"])
    ]
    lines += aligned(rows)
    overall = next(figure_tables(record))
    lines += [f"validation accuracy {name}: {_told(figures[0])}" for name, figures in overall.rows]
    lines += [printable(" ".join([finding.title, *finding.details])) for finding in prune_findings(record)]
    return [*lines, f"report: {out / 'report.html'}"]


def _told(figure: Any) -> str:
    from mindgap.report.estimate import sentence

    return sentence(figure)
