"""All findings of a page in one sentence, and which of them stand open."""

from __future__ import annotations

from collections.abc import Sequence

from mindgap.report.estimate import count, listed
from mindgap.report.findings import Finding

OPEN_FINDINGS = 6
_NAMED = 3
"""Findings of other gaps that the sentence names at most."""


def overview(findings: Sequence[Finding]) -> str:
    """Over which attributes a gap is shown, over which none is; empty for a single finding, which says it itself.

    Example:
        Findings of sex (shown) and age (not shown) give "A gap is shown over sex. Over age none in accuracy is shown
        beyond chance and case mix."
    """
    if len(findings) < 2:
        return ""
    shown = [found.over for found in findings if found.kind == "shown"]
    chance = [found.over for found in findings if found.kind == "not shown" and found.judged]
    open_ = [found.over for found in findings if found.kind == "not shown" and not found.judged]
    undefined = [found.over for found in findings if found.kind == "not defined"]
    said = []
    if any(finding.label for finding in findings):  # too many to name but those with a gap
        chance, open_, undefined = (_pairs(names) for names in (chance, open_, undefined))
    if shown:
        said.append(f"A gap is shown over {listed(shown)}.")
    if chance and shown:
        said.append(f"Over {listed(chance)} none in accuracy is shown beyond {findings[0].beyond}.")
    elif chance:
        said.append(f"No gap in accuracy is shown beyond {findings[0].beyond} over {listed(chance, last='or')}.")
    elsewhere = {found.over: found.others for found in findings if found.others}
    said += [f"Over {over} one in {listed(others)} is shown." for over, others in list(elsewhere.items())[:_NAMED]]
    if open_:
        said.append(f"Over {listed(open_)} the gap is not judged.")
    if undefined:
        said.append(f"Over {listed(undefined)} the gap is not defined.")
    return " ".join(said)


def _pairs(names: Sequence[str]) -> list[str]:
    more = "pair" if len(names) == 1 else "pairs"
    return [f"{count(len(names))} {more} of label and attribute"] if names else []


def fold(findings: Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
    """The findings in sight, and those folded away; a single one is never folded."""
    most = OPEN_FINDINGS if len(findings) > OPEN_FINDINGS + 1 else len(findings)
    return list(findings[:most]), list(findings[most:])
