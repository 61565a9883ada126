"""What remains of U when every group is given the same mix of classes, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mindgap.report.estimate import Estimate, decimal, sentence
from mindgap.report.verdict import Verdict

STANDARDIZED = "unfairness_standardized"
CASE_MIX = "unfairness_case_mix"
WITHIN_CLASS = "unfairness_within_class"


_UNDEFINED = re.compile(r"(?:^|; )(undefined in \S+ of \S+ bootstrap replicates)$")


def split_note(note: str) -> tuple[str, str]:
    """What a note of an AUDIT says of the gap, and how many of its resamples are undefined; each may be empty.

    Example:
        >>> split_note("left out: df; undefined in 3 of 500 bootstrap replicates")
        ('left out: df', 'undefined in 3 of 500 bootstrap replicates')
    """
    found = _UNDEFINED.search(note)
    return (note[: found.start()], found[1]) if found else (note, "")


def split_sentence(attribute: str, part: Mapping[str, Any], judged: Mapping[tuple[str, str], Verdict]) -> str:
    """How much of U the groups' classes alone would give, and what is left within classes; empty without both parts.

    Args:
        attribute: its name.
        part: ``audit["attributes"][attribute]``.
        judged: verdicts by (attribute, gap).
    """
    gaps = part.get("gaps", {})
    mix, within = Estimate.read(gaps.get(CASE_MIX)), Estimate.read(gaps.get(WITHIN_CLASS))
    if mix.value is None or within.value is None:
        return ""
    return (
        f"Which classes each group has would alone make U {decimal(mix.value)}; within classes, U is "
        f"{sentence(within)}: {judged[attribute, WITHIN_CLASS].text}."
    )


def case_mix_sentence(attribute: str, part: Mapping[str, Any], judged: Mapping[tuple[str, str], Verdict]) -> str:
    """The standardised U of an attribute, which classes it compares, and what it says of plain U; empty without one.

    Args:
        attribute: its name.
        part: ``audit["attributes"][attribute]``.
        judged: verdicts by (attribute, gap).
    """
    gaps = part.get("gaps", {})
    if STANDARDIZED not in gaps:
        return ""
    standard = Estimate.read(gaps[STANDARDIZED])
    note, _ = split_note(str((part.get("notes") or {}).get(STANDARDIZED) or ""))
    classes = f" {note[0].upper()}{note[1:]}." if note else ""
    if standard.value is None:
        return f"With the case mix held equal, U is not defined: {standard.reason}.{classes}"
    verdict = judged[attribute, STANDARDIZED]
    text = f"With every group given the same mix of classes, U is {sentence(standard)}: {verdict.text}.{classes}"
    plain_verdict = judged.get((attribute, "unfairness"))
    if plain_verdict is None or plain_verdict.kind != "shown":
        return text
    plain = Estimate.read(gaps.get("unfairness"))
    return text + _against_plain(plain, standard, verdict, same_rows=_same_rows(plain, standard, note))


def _against_plain(plain: Estimate, standard: Estimate, verdict: Verdict, *, same_rows: bool) -> str:
    """What the drop from a shown plain U speaks of: the mix of classes only if both are over the same images."""
    much_lower = (plain.value or 0.0) > 2 * (standard.value or 0.0)
    if verdict.kind == "shown" and not much_lower:
        return ""
    if not same_rows:
        return (
            " Plain U is over all classes, so the two differ by the classes left out as well as by the mix of classes."
        )
    if verdict.kind != "shown":
        return " How much of the plain gap comes from the mix of classes cannot be told apart at this n."
    return " Plain U is over twice that: by these point estimates much of it goes with which classes each group has."


def _same_rows(plain: Estimate, standard: Estimate, note: str) -> bool:
    """Whether both are over the same images; a class that does not occur leaves none out."""
    return not note if plain.n is None or standard.n is None else plain.n == standard.n
