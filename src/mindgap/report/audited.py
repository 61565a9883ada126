"""An AUDIT laid out for the page: per label and attribute its groups, gaps and classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mindgap.report.case_mix import STANDARDIZED, case_mix_sentence
from mindgap.report.estimate import Estimate
from mindgap.report.gaps import GapRow, gap_rows
from mindgap.report.groups import GroupRow, group_rows, known_accuracy
from mindgap.report.measures import measure_of
from mindgap.report.verdict import Verdict, verdicts

_PAIR = ("unfairness", STANDARDIZED)


@dataclass(frozen=True)
class ClassRow:
    """One figure of one class (and group)."""

    name: str
    label: str
    estimate: Estimate


@dataclass(frozen=True)
class AttributeView:
    """What the page shows of one attribute."""

    name: str
    rows: list[GroupRow]
    gaps: list[GapRow]
    classes: list[ClassRow]
    case_mix: str
    notes: list[str]

    @property
    def other_names(self) -> list[str]:
        """Names of the groups' figures besides accuracy."""
        return [label for label, _ in self.rows[0].others] if self.rows else []

    @property
    def plain_and_standard(self) -> list[GapRow]:
        """U and the standardised U, where both or one are there."""
        return [row for row in self.gaps if row.measure.name in _PAIR]


@dataclass(frozen=True)
class AuditView:
    """One single-label AUDIT: the whole task, or one label of a multi-label task (``label`` is then its name)."""

    label: str
    attributes: list[AttributeView]


def single_label_audits(audit: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The single-label AUDITs inside an AUDIT: one under the empty name, or one per label."""
    if audit.get("task") == "multi-label":
        return dict(audit.get("labels", {}))
    return {"": audit} if audit else {}


def audit_views(audit: Mapping[str, Any], *, lead: str | None) -> list[AuditView]:
    """All of an AUDIT, the leading attribute first."""
    parts = single_label_audits(audit)
    judged = verdicts(parts)
    views = []
    for label, part in parts.items():
        names = sorted(part.get("attributes", {}), key=lambda name: name != lead)
        attributes = [_attribute(name, part["attributes"][name], judged[label]) for name in names]
        views.append(AuditView(label, attributes))
    return views


def _attribute(name: str, part: Mapping[str, Any], judged: Mapping[tuple[str, str], Verdict]) -> AttributeView:
    return AttributeView(
        name=name,
        rows=group_rows(part, overall=known_accuracy(part)),
        gaps=gap_rows(name, part, judged),
        classes=_class_rows(part.get("per_class", {})),
        case_mix=case_mix_sentence(name, part, judged),
        notes=[
            f"{measure_of(key).label}: {note}."
            for key, note in (part.get("notes") or {}).items()
            if key != STANDARDIZED  # stands in the sentence on the case mix
        ],
    )


def _class_rows(per_class: Mapping[str, Any]) -> list[ClassRow]:
    rows: list[ClassRow] = []
    for name, figures in per_class.items():
        for key, record in figures.items():
            if not isinstance(record, Mapping):
                continue
            label = measure_of(key).label
            if "value" in record:
                rows.append(ClassRow(name, label, Estimate.read(record)))
            else:
                rows += [ClassRow(name, f"{label}, {group}", Estimate.read(value)) for group, value in record.items()]
    return rows
