"""An AUDIT laid out for the page: per label and attribute its groups, gaps and classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mindgap.report.case_mix import STANDARDIZED, case_mix_sentence
from mindgap.report.estimate import Estimate, decimal
from mindgap.report.gap_families import CONVENTIONS, families, headline
from mindgap.report.gaps import GapRow, gap_rows
from mindgap.report.groups import GroupRow, group_rows, known_accuracy
from mindgap.report.measures import in_page_order, measure_of
from mindgap.report.notes import gap_notes
from mindgap.report.verdict import Verdict, verdicts

MOST_CLASS_ROWS = 300
OPEN_LABELS = 4
_PAIR = ("unfairness", STANDARDIZED)


@dataclass(frozen=True)
class ClassRow:
    """One figure of one class (and group)."""

    name: str
    label: str
    estimate: Estimate


@dataclass(frozen=True)
class AttributeView:
    """What the page shows of one attribute; ``classes_left_out`` counts figures of classes beyond a table's length."""

    name: str
    rows: list[GroupRow]
    gaps: list[GapRow]
    classes: list[ClassRow]
    classes_left_out: int
    case_mix: str
    notes: list[str]
    other_notes: list[str]

    @property
    def undefined_everywhere(self) -> dict[str, str]:
        """Figures that are defined in no group, all for one reason, by name."""
        found = {}
        for k, name in enumerate(label for label, _ in self.rows[0].others) if self.rows else ():
            column = [row.others[k][1] for row in self.rows]
            reasons = {figure.reason for figure in column}
            if len(reasons) == 1 and all(figure.value is None for figure in column):
                found[name] = str(column[0].reason)
        return found

    @property
    def other_names(self) -> list[str]:
        """Names of the groups' figures besides accuracy that are defined somewhere."""
        return (
            [label for label, _ in self.rows[0].others if label not in self.undefined_everywhere] if self.rows else []
        )

    @property
    def leading_gaps(self) -> list[GapRow]:
        """The gaps a reader needs first."""
        return self._named(headline([row.measure.name for row in self.gaps]))

    @property
    def other_gaps(self) -> dict[str, list[GapRow]]:
        """The other conventions, by heading."""
        by_title = families([row.measure.name for row in self.gaps])
        return {title: self._named(names) for title, names in by_title.items()}

    @property
    def spread_of_conventions(self) -> str:
        """How far the differences that carry the name of equalised odds lie apart on these predictions."""
        rows = [row for row in self.gaps if row.measure.name.startswith("equalized_odds")]
        values = [row.gap.value for row in rows if row.gap.value is not None and row.measure.parity == 0.0]
        if CONVENTIONS not in self.other_gaps or len(values) < 2:
            return ""
        return (
            f"On these predictions what is called equalised odds is {decimal(min(values))} to {decimal(max(values))}, "
            "depending on the convention: compare figures of the same name only."
        )

    def _named(self, names: list[str]) -> list[GapRow]:
        return [row for row in self.gaps if row.measure.name in names]

    @property
    def plain_and_standard(self) -> list[GapRow]:
        """U and the standardised U, where both or one are there."""
        return [row for row in self.gaps if row.measure.name in _PAIR]


@dataclass(frozen=True)
class AuditView:
    """One single-label AUDIT: the whole task, or one label of a multi-label task (``label`` is then its name).

    ``folded``: the page shows it closed, as there are many labels.
    """

    label: str
    attributes: list[AttributeView]
    folded: bool = False


def single_label_audits(audit: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The single-label AUDITs inside an AUDIT: one under the empty name, or one per label."""
    if audit.get("task") == "multi-label":
        return dict(audit.get("labels", {}))
    return {"": audit} if audit else {}


def audit_views(audit: Mapping[str, Any], *, lead: str | None) -> list[AuditView]:
    """All of an AUDIT, the leading attribute first; of many labels those with a shown gap first, the rest folded."""
    parts = single_label_audits(audit)
    judged = verdicts(parts)
    views = []
    for place, label in enumerate(labels_in_order(parts)):
        part = parts[label]
        names = sorted(part.get("attributes", {}), key=lambda name: name != lead)
        attributes = [_attribute(name, part["attributes"][name], judged[label]) for name in names]
        views.append(AuditView(label, attributes, folded=place >= OPEN_LABELS))
    return views


def labels_in_order(parts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The labels as the AUDIT has them; of more than a page shows open, those with a shown U first.

    Args:
        parts: single-label AUDITs by label.
    """
    if len(parts) <= OPEN_LABELS:
        return list(parts)
    judged = verdicts(parts)
    shown = {label for label, of in judged.items() for (_, gap), found in of.items() if _is_shown_u(gap, found)}
    return sorted(parts, key=lambda label: label not in shown)


def _is_shown_u(gap: str, verdict: Verdict) -> bool:
    return gap == "unfairness" and verdict.kind == "shown"


def _attribute(name: str, part: Mapping[str, Any], judged: Mapping[tuple[str, str], Verdict]) -> AttributeView:
    classes = _class_rows(part.get("per_class", {}))
    names = in_page_order(list(part.get("gaps", {})))
    leading = headline(names)
    return AttributeView(
        name=name,
        rows=group_rows(part, overall=known_accuracy(part)),
        gaps=gap_rows(name, part, judged),
        classes=classes[:MOST_CLASS_ROWS],
        classes_left_out=max(len(classes) - MOST_CLASS_ROWS, 0),
        case_mix=case_mix_sentence(name, part, judged),
        notes=[*_group_notes(part), *gap_notes(part, leading)],
        other_notes=gap_notes(part, [key for key in names if key not in leading]),
    )


def _group_notes(part: Mapping[str, Any]) -> list[str]:
    note = (part.get("notes") or {}).get("groups")
    return [f"Groups {note}."] if note else []


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
