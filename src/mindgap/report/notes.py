"""The notes of an AUDIT on its gaps, said once for all gaps they hold for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from mindgap.report.case_mix import STANDARDIZED, split_note
from mindgap.report.estimate import Estimate, listed
from mindgap.report.measures import measure_of

_LONGEST = 420


def gap_notes(part: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """A sentence per note with the gaps it holds for: what was left out, undefined resamples, why an interval lacks.

    Args:
        part: ``audit["attributes"][name]``.
        names: the gaps to speak of.

    Example:
        Two gaps with the note ``classes left out (df: never predicted)`` give one line,
        ``EOpp0 and EOpp1: classes left out (df: never predicted).``
    """
    labels: dict[str, list[str]] = {}
    for name in names:
        for piece in _pieces(name, part):
            labels.setdefault(piece, []).append(measure_of(name).label.replace(", ", " "))
    return [_sentence(piece, of) for piece, of in labels.items()]


def _sentence(note: str, labels: list[str]) -> str:
    said = f"{shortened(note)}."
    return said if note.startswith(labels[0]) else f"{listed(labels, most=8)}: {said}"


def _pieces(name: str, part: Mapping[str, Any]) -> list[str]:
    what, undefined = split_note(str((part.get("notes") or {}).get(name) or ""))
    gap = Estimate.read(part.get("gaps", {}).get(name))
    without = [gap.reason] if gap.value is not None and gap.reason and gap.reason != undefined else []
    said = [] if name == STANDARDIZED else [what]  # which classes it compares stands in the sentence on the case mix
    return list(filter(None, [*said, undefined, *without]))


def shortened(note: str) -> str:
    """A note of a readable length, cut between two of its parts.

    Example:
        >>> shortened("a: no rows; b: no rows")
        'a: no rows; b: no rows'
    """
    if len(note) <= _LONGEST:
        return note
    return re.sub(r"; [^;]*$", "", note[:_LONGEST]) + "; … the JSON has all)"
