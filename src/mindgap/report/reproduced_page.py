"""The page of a reproduced table: what held up, the paper's figures beside ours, and what was spent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgap.core.files import write_text
from mindgap.report.document import PAGE
from mindgap.report.measures import measure_of
from mindgap.report.page import Page, Section, render_page
from mindgap.report.reproduced_words import (
    claim_lines,
    data_sentence,
    group_table,
    label_tables,
    step_rows,
    table_rows,
    verdict_sentence,
)

REPRODUCED_RECORD = "reproduce.json"


def write_reproduced_page(folder: Path, record: Mapping[str, Any]) -> Path:
    """Writes ``report.html`` of a reproduction and returns its path.

    Args:
        folder: of the run.
        record: what ``reproduce.json`` holds.

    Raises:
        CapacityError: the page cannot be written.
    """
    page = folder / PAGE
    write_text(page, render_reproduced(record))
    return page


def render_reproduced(record: Mapping[str, Any]) -> str:
    """The page as text."""
    return render_page(
        Page(
            title=record["title"],
            subtitle=f"{record['paper']} · scale {record['scale']}",
            made_from="this reproduction's own record",
            sections=_sections(record),
        )
    )


def _sections(record: Mapping[str, Any]) -> list[Section]:
    about = {"question": record["question"], "verdict": verdict_sentence(record), "claims": claim_lines(record)}
    data = {"paper_data": record["data"], "our_data": data_sentence(record), "differs": record["differs"]}
    parts = [
        Section("held_up", "What held up", "What held up", about),
        Section("paper_differs", "How data and budget differ", "Differences", data),
    ]
    if record["rows"]:
        heads = [figure["label"] for figure in record["figures"]]
        content: dict[str, Any] = {"paper_heads": heads, "paper_rows": table_rows(record)}
        content["label_tables"] = label_tables(record)
        content["row_labels"] = [row["label"] for row in record["rows"] if row["figures"]]
        parts.append(Section("beside_paper", "The paper's figures beside ours", "The table", content))
    if (groups := group_table(record)) is not None:
        metric = measure_of(record["by_group"]["metric"]).label
        metric = metric[:1].upper() + metric[1:]
        content = {"by_group_metric": metric, "by_group_heads": groups[0], "by_group_rows": groups[1]}
        parts.append(Section("by_group", f"{metric} by group", "By group", content))
    if record["tones"]:
        parts.append(Section("tone_counts", "Images by tone band", "Tone bands", {"tone_rows": _tone_rows(record)}))
    parts.append(Section("steps", "What was run", "What was run", {"step_rows": step_rows(record)}))
    return parts


def _tone_rows(record: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """A band, and images before and after, printed and measured."""
    tones = record["tones"]
    bands = list(dict.fromkeys([*tones["printed"]["before"], *tones["printed"]["after"], *tones["measured"]["before"]]))
    columns = [tones[source][when] for source in ("printed", "measured") for when in ("before", "after")]
    return [(band, [str(column.get(band, 0)) for column in columns]) for band in bands]
