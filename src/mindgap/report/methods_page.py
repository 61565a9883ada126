"""The page of a comparison of methods: which helps, what each was given, and how it was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgap.core.files import write_text
from mindgap.report.comparison_page import comparison_sections
from mindgap.report.methods_rows import (
    attribute_tables,
    budget_sentence,
    failed_lines,
    method_findings,
    method_rows,
    overall_heads,
    seeds_sentence,
    trial_rows,
    verdict_rows,
)
from mindgap.report.mitigation_figures import methods_mitigation_sections
from mindgap.report.page import Page, Section, render_page


def write_methods_page(path: Path | str, record: Mapping[str, Any]) -> Path:
    """Writes the page of a comparison of methods and returns its path.

    Args:
        path: the HTML file.
        record: what ``compare.json`` holds.

    Raises:
        CapacityError: the file cannot be written.
    """
    page = Path(path)
    write_text(page, render_methods(record))
    return page


def render_methods(record: Mapping[str, Any]) -> str:
    """The page as text; see ``write_methods_page``."""
    seeds, methods = len(record["seeds"]), record["methods"]
    return render_page(
        Page(
            title=f"{len(methods)} methods compared",
            subtitle=(
                f"{record['network']} · over {record['attribute']} · {seeds} seed{'s' * (seeds > 1)} of each · "
                f"baseline {record['baseline']}"
            ),
            made_from="this comparison's own record",
            sections=_sections(record),
        )
    )


def _sections(record: Mapping[str, Any]) -> list[Section]:
    tables = attribute_tables(record)
    findings = method_findings(tables)
    methods = {
        "shown_verdicts": [finding for finding in findings if finding.is_shown],
        "other_verdicts": [finding for finding in findings if not finding.is_shown],
        "verdict_rows": verdict_rows(tables),
        "budget": budget_sentence(record),
        "seeds_say": seeds_sentence(record),
        "overall_heads": overall_heads(),
        "methods": method_rows(record),
        "attribute_tables": tables,
        "failed": failed_lines(record),
        "left_out": record["excluded_groups"],
        "min_group": record["min_group"],
        "not_compared": record["not_compared"],
    }
    trials = {"trials": trial_rows(record), "rule": record["select"]["says"]}
    tuning = [Section("method_trials", "Tuning runs", "Tuning runs", trials)] if record["trials"] else []
    comparison = record["comparison"]
    return [
        Section("methods", "Which method helps", "Methods", methods),
        *methods_mitigation_sections(record),
        *tuning,
        *(comparison_sections(comparison) if comparison is not None else []),
    ]
