"""The page of a comparison: what may be said of the models' differences, in one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgap.core.files import write_text
from mindgap.report.comparison_words import caveat, comparison_findings, others, parts, seed_rows, seeds_compared
from mindgap.report.difference_rows import model_tables
from mindgap.report.estimate import count
from mindgap.report.origin import option_rows
from mindgap.report.page import Page, Section, render_page
from mindgap.report.searches_compared import searches_content
from mindgap.report.short_place import short_place

MOST_FINDINGS = 12


def write_comparison_page(path: Path | str, record: Mapping[str, Any]) -> Path:
    """Writes the page of a comparison and returns its path.

    Args:
        path: the HTML file.
        record: what ``compare_models`` found, with the ``options`` it was read and compared with.

    Raises:
        CapacityError: the file cannot be written.
    """
    page = Path(path)
    write_text(page, render_comparison(record))
    return page


def render_comparison(record: Mapping[str, Any]) -> str:
    """The page as text; see ``write_comparison_page``."""
    names = [model["name"] for model in record["models"]]
    title = f"{' and '.join(names)} compared" if len(names) == 2 else f"{len(names)} models compared"
    if len(names) == 1:
        title = f"{names[0]}, seed by seed"
    kinds = f"{len(record['classes'])} classes" if "classes" in record else f"{len(record['labels'])} labels"
    return render_page(
        Page(
            title=title,
            subtitle=f"{count(record['n'])} rows · {kinds} · baseline {names[0]}",
            made_from="the predictions of the models named",
            sections=comparison_sections(record),
        )
    )


def comparison_sections(record: Mapping[str, Any]) -> list[Section]:
    """The parts of the page, also as those of a larger one."""
    found = comparison_findings(record)
    plain = {
        "caveat": caveat(record),
        "findings": found[:MOST_FINDINGS],
        "more_findings": found[MOST_FINDINGS:],
    }
    tables = [
        model_tables(part, model, baseline=record["baseline"], label=label)
        for model in others(record)
        for label, part in parts(record).items()
    ]
    differences = [Section("differences", "Differences", "Differences", {"tables": tables})] if tables else []
    origin = {"origin": _origin_rows(record), "options": option_rows(record.get("options", {})), "commands": []}
    return [
        Section("compared", "In plain words", "In plain words", plain),
        *differences,
        Section("seeds", "Figures of each model", "Seeds", {"seed_rows": list(seed_rows(record))}),
        *_searches(record),
        Section("origin", "What was compared", "What was compared", origin),
        Section("comparison_reading", "How to read it", "How to read it"),
    ]


def _searches(record: Mapping[str, Any]) -> list[Section]:
    if "searches" not in record:
        return []
    return [Section("searches", "What each search reached", "Searches", searches_content(record["searches"]))]


def _origin_rows(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [("Rows", count(record["n"])), ("Verdicts are about", str(record["gap"]))]
    for k, model in enumerate(record["models"]):
        named = [
            short_place(source) + ("" if seed is None else f" (seed {seed})")
            for source, seed in zip(model["sources"], model["seeds"], strict=True)
        ]
        rows.append((f"{'Baseline' if k == 0 else 'Model'} {model['name']}", ", ".join(named)))
        if k and (compared := seeds_compared(model, record["models"][0])):
            rows.append((f"Seeds of {model['name']}", compared))
    return rows
