"""A run whose mitigation predicts by each image's group: its figures beside those of the form that needs none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mindgap.report.audited import single_label_audits
from mindgap.report.estimate import Estimate
from mindgap.report.measures import measure_of
from mindgap.report.page import Section
from mindgap.report.run_files import RunFiles

_GAPS = ("worst_group_accuracy", "unfairness")


@dataclass(frozen=True)
class FigureRow:
    """One figure of both forms."""

    name: str
    with_groups: Estimate
    without: Estimate


def without_groups_sections(run: RunFiles) -> list[Section]:
    """The table of both forms; nothing where the run's network is used alone."""
    split, audit = run.audit
    alone = (run.metrics.get("without_groups") or {}).get(split)
    if not audit or not alone:
        return []
    attribute = str(run.options.get("attribute") or run.store.get("default_attribute") or "")
    content = {
        "both_forms": figure_rows(audit, alone, attribute),
        "both_forms_method": run.options.get("mitigation"),
        "both_forms_attribute": attribute,
    }
    return [Section("without_groups", "With and without the image's group", "Without groups", content)]


def figure_rows(audit: Mapping[str, Any], alone: Mapping[str, Any], attribute: str) -> list[FigureRow]:
    """Accuracy, and the attribute's lowest group accuracy and U, of several labels one of each per label.

    Args:
        audit: by the image's group.
        alone: the same rows without.
        attribute: whose groups the mitigation uses.
    """
    rows = [_row("Accuracy", audit.get("overall"), alone.get("overall"), "accuracy")]
    others = single_label_audits(alone)
    for label, part in single_label_audits(audit).items():
        mine, theirs = (of.get("attributes", {}).get(attribute, {}).get("gaps") for of in (part, others.get(label, {})))
        prefix = f"{label}: " if label else ""
        rows += [_row(f"{prefix}{measure_of(gap).label}, {attribute}", mine, theirs, gap) for gap in _GAPS]
    return rows


def _row(name: str, mine: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None, key: str) -> FigureRow:
    return FigureRow(name, Estimate.read((mine or {}).get(key)), Estimate.read((theirs or {}).get(key)))
