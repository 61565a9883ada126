"""The page of an audit: what any model's predictions show, in one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgap.core.files import write_text
from mindgap.metrics.predictions import MultiLabelPredictions, Predictions
from mindgap.report.audit_summary import audit_summary
from mindgap.report.audited import audit_views, single_label_audits
from mindgap.report.drawn_predictions import drawn_sections
from mindgap.report.estimate import count
from mindgap.report.floor_words import floor_words
from mindgap.report.limits import data_limits
from mindgap.report.origin import option_rows
from mindgap.report.page import Page, Section, render_page
from mindgap.report.short_place import short_place

AnyPredictions = Predictions | MultiLabelPredictions


def write_audit_page(
    path: Path | str, audit: Mapping[str, Any], predictions: AnyPredictions, *, source: str, options: Mapping[str, Any]
) -> Path:
    """Writes the page of an audit and returns its path.

    Args:
        path: the HTML file.
        audit: the AUDIT record of the predictions.
        predictions: the predictions it was made from; they draw the curves, the calibration and the confusion.
        source: name of the file they came from.
        options: what they were read and audited with; ``split``, ``cluster``, ``seed``, ``bootstrap`` and
            ``permutations`` are said at the top, all are listed.

    Raises:
        CapacityError: the file cannot be written.
    """
    page = Path(path)
    write_text(page, render_audit(audit, predictions, source=source, options=options))
    return page


def render_audit(
    audit: Mapping[str, Any], predictions: AnyPredictions, *, source: str, options: Mapping[str, Any]
) -> str:
    """The page as text; see ``write_audit_page``."""
    name = Path(source).name
    return render_page(
        Page(
            title=f"Audit of {name}",
            subtitle=_subtitle(audit),
            made_from=f"{name} and the audit of it",
            sections=audit_sections(audit, predictions, source=source, options=options),
        )
    )


def audit_sections(
    audit: Mapping[str, Any], predictions: AnyPredictions, *, source: str, options: Mapping[str, Any]
) -> list[Section]:
    """All parts of the page, plain words first."""
    split = options.get("split")
    rows = f"{split} split" if split and split != "all" else "audited rows"
    parts = single_label_audits(audit)
    groups = {"audits": audit_views(audit, lead=None), "judged_on": rows}
    named = {f"{rows} (label {label})" if label else rows: part for label, part in parts.items()}
    origin = {"origin": origin_rows(audit, source=source, options=options), "options": option_rows(_shown(options))}
    return [
        Section("summary", "In plain words", "In plain words", audit_summary(audit, source=source, options=options)),
        Section("groups", "Groups side by side", "Groups", groups),
        Section("gaps", "Gaps against their noise floors", "Gaps and floors", {"floor_words": floor_words(audit)}),
        *drawn_sections(parts, predictions),
        Section("limits", "What the data cannot answer", "What it cannot answer", {"limits": data_limits(named)}),
        Section("origin", "What was audited", "What was audited", origin | {"commands": []}),
        Section("reading", "How to read it", "How to read it"),
    ]


def origin_rows(audit: Mapping[str, Any], *, source: str, options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Label and text of what the figures rest on."""
    parts = single_label_audits(audit)
    first = next(iter(parts.values()), {})
    attributes = first.get("attributes", {})
    what = [("Labels", ", ".join(parts))] if "" not in parts else []
    left_out = [
        (f"Left out over {name}", f"{count(part['unknown'])} rows of unknown {name}")
        for name, part in attributes.items()
        if part.get("unknown")
    ]
    return [
        ("File", short_place(source)),
        *([("Rows of the file", count(audit["rows"]))] if audit.get("rows") is not None else []),
        ("Rows audited", count(audit.get("n"))),
        ("Split", str(options.get("split") or "all rows of the file")),
        *what,
        ("Classes", ", ".join(str(name) for name in first.get("classes", ()))),
        ("Attributes", ", ".join(attributes) or "none"),
        *left_out,
        ("Clusters", str(options.get("cluster") or "none named: every row counts as one of its own")),
        ("Resamples and permutations", f"{count(options.get('bootstrap'))} and {count(options.get('permutations'))}"),
        ("Seed", str(options.get("seed", "not recorded"))),
    ]


def _shown(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as the page lists them."""
    tables = options.get("tables")
    return {**options, "tables": ", ".join(map(short_place, tables))} if tables else dict(options)


def _subtitle(audit: Mapping[str, Any]) -> str:
    parts = single_label_audits(audit)
    first = next(iter(parts.values()), {})
    kinds = f"{len(parts)} labels" if "" not in parts else f"{len(first.get('classes', ()))} classes"
    attributes = len(first.get("attributes", {}))
    return f"{count(audit.get('n'))} rows · {kinds} · {attributes} attribute{'s' if attributes != 1 else ''}"
