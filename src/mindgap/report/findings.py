"""What the evidence lets a page say, in plain words; a sentence never claims more than interval and floor allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mindgap.report.estimate import Estimate, count, decimal, p_text, percent, sentence, size
from mindgap.report.measures import measure_of
from mindgap.report.verdict import Kind, Verdict, judge, verdicts

SMALL = 30


@dataclass(frozen=True)
class Finding:
    """The plain-words finding for one attribute.

    Attributes:
        attribute: its name.
        kind: of the verdict on U.
        title: one sentence.
        details: what it rests on, sentence by sentence.
    """

    attribute: str
    kind: Kind
    title: str
    details: tuple[str, ...]


def findings(
    audits: Mapping[str, Mapping[str, Any]], *, lead: str | None = None, subject: str = "network"
) -> list[Finding]:
    """One finding per label and attribute, the leading attribute first.

    Args:
        audits: single-label AUDITs by label; a task without labels has one, under the empty name.
        lead: the attribute the run worked on.
        subject: what is being judged, in words.
    """
    judged = verdicts(audits)
    together = sum(len(audit.get("attributes", {})) for audit in audits.values())
    found: list[Finding] = []
    for label, audit in audits.items():
        for name in sorted(audit.get("attributes", {}), key=lambda name: name != lead):
            finding = _finding(name, audit["attributes"][name], judged[label], subject, together)
            found.append(replace(finding, title=f"{label}: {finding.title}") if label else finding)
    return found


def _finding(
    attribute: str, part: Mapping[str, Any], judged: Mapping[tuple[str, str], Verdict], subject: str, together: int
) -> Finding:
    gap = Estimate.read(part.get("gaps", {}).get("unfairness"))
    verdict = judged.get((attribute, "unfairness")) or judge(gap, measure_of("unfairness"), p_adjusted=None)
    groups = part.get("groups", {})
    ordered = by_accuracy(groups)
    title = _title(attribute, ordered, verdict, gap, subject)
    doubt = _small_group_in_doubt(groups, ordered)
    if verdict.kind == "shown" and doubt:
        title = (
            f"A gap over {attribute} is shown; which group is worst off is open, as the lowest, {doubt}, is too small."
        )
    details = [_worst_sentence(ordered, shown=verdict.kind == "shown"), _gap_sentence(gap, verdict, together)]
    details.append(case_mix_sentence(attribute, part, judged))
    details.extend(_small_sentence(groups))
    return Finding(attribute, verdict.kind, title, tuple(filter(None, details)))


def _small_group_in_doubt(groups: Mapping[str, Any], ordered: Sequence[tuple[str, Estimate]]) -> str:
    """The group under 30 that is lower than every larger one, with its n; empty if there is none."""
    lowest = min((estimate.value or 0.0 for _, estimate in ordered), default=0.0)
    small = [
        (value, name)
        for name, group in groups.items()
        if 0 < (group.get("n") or 0) < SMALL
        and (value := Estimate.read(group.get("accuracy")).value) is not None
        and value < lowest
    ]
    return f"{min(small)[1]} ({size(groups[min(small)[1]]['n'])})" if small else ""


def _title(
    attribute: str, ordered: Sequence[tuple[str, Estimate]], verdict: Verdict, gap: Estimate, subject: str
) -> str:
    if verdict.kind == "shown" and len(ordered) > 1:
        (worst, low), (best, high) = ordered[0], ordered[-1]
        return (
            f"A gap over {attribute} is shown: the {subject} is right for {percent(low.value)} of {worst} "
            f"and {percent(high.value)} of {best}."
        )
    if verdict.kind == "shown":
        return f"A gap over {attribute} is shown."
    if verdict.kind == "not defined" or verdict.text.startswith("not judged"):
        return f"The gap over {attribute} is {verdict.text}."
    return f"No gap over {attribute} shown at this n ({count(gap.n)} images)."


def by_accuracy(groups: Mapping[str, Any]) -> list[tuple[str, Estimate]]:
    """Groups of at least 30 with a known accuracy, the lowest first; when there is no such group, all with one."""
    known = [(name, Estimate.read(group.get("accuracy")), group.get("n") or 0) for name, group in groups.items()]
    known = [row for row in known if row[1].value is not None]
    large = [row for row in known if row[2] >= SMALL] or known
    return [(name, estimate) for name, estimate, _ in sorted(large, key=lambda row: row[1].value or 0.0)]


def _worst_sentence(ordered: Sequence[tuple[str, Estimate]], *, shown: bool) -> str:
    if len(ordered) < 2:
        return ""
    (worst, low), (best, high) = ordered[0], ordered[-1]
    points = 100 * ((high.value or 0.0) - (low.value or 0.0))
    figures = (
        f"{worst}, right for {sentence(low, unit='percent')}, and {best}, right for {sentence(high, unit='percent')}: "
        f"{decimal(points, 1)} points apart."
    )
    if shown:
        return f"Of the groups with at least {SMALL} images, the worst and the best off are {figures}{_tied(ordered)}"
    return f"The lowest and the highest point estimates: {figures} Which group is lowest may itself be chance."


def _tied(ordered: Sequence[tuple[str, Estimate]]) -> str:
    """Which other groups, short of the best, may be the worst off as well: their intervals overlap the lowest one's."""
    high = ordered[0][1].high
    tied = [name for name, estimate in ordered[1:-1] if high is not None and (estimate.low or 0.0) <= high]
    if not tied:
        return ""
    return f" The interval of {ordered[0][0]} overlaps that of {', '.join(tied)}: which of them is worst off is open."


def _gap_sentence(gap: Estimate, verdict: Verdict, together: int) -> str:
    if gap.value is None:
        return ""
    text = f"Unfairness U, the sum over groups of |group accuracy − overall accuracy|, is {sentence(gap)}."
    if gap.has_floor:
        over = f" after Holm over {together} comparisons" if together > 1 else ""
        text += (
            f" Groups drawn at random within each class give {decimal(gap.noise_mean)} on average and "
            f"{decimal(gap.noise_p95)} or more in 1 case of 20 (p = {p_text(verdict.p_adjusted)}{over})."
        )
    if verdict.kind == "not shown" and gap.has_interval:
        text += f" That does not show equal treatment either: a gap of up to {decimal(gap.high)} fits the data."
    return text


def case_mix_sentence(attribute: str, part: Mapping[str, Any], judged: Mapping[tuple[str, str], Verdict]) -> str:
    """What remains of U when every group is given the same mix of classes."""
    gaps = part.get("gaps", {})
    if "unfairness_standardized" not in gaps:
        return ""
    plain, standard = Estimate.read(gaps.get("unfairness")), Estimate.read(gaps["unfairness_standardized"])
    if standard.value is None:
        return f"With the case mix held equal, U is not defined: {standard.reason}."
    verdict = judged[attribute, "unfairness_standardized"]
    text = f"With every group given the same mix of classes, U is {sentence(standard)}: {verdict.text}."
    plain_verdict = judged.get((attribute, "unfairness"))
    if plain_verdict and plain_verdict.kind == "shown" and verdict.kind == "not shown":
        text += " How much of the plain gap comes from the mix of classes cannot be told apart at this n."
    elif plain_verdict and plain_verdict.kind == "shown" and (plain.value or 0.0) > 2 * standard.value:
        text += (
            " Plain U is over twice that: by these point estimates much of it goes with which classes each group has."
        )
    return text


def _small_sentence(groups: Mapping[str, Any]) -> list[str]:
    small = [f"{name} ({size(group.get('n') or 0)})" for name, group in groups.items() if (group.get("n") or 0) < SMALL]
    if not small:
        return []
    return [f"Too few images to say anything of: {', '.join(small)}."]


def cautions(audits: Mapping[str, Mapping[str, Any]], search: Mapping[str, Any]) -> list[str]:
    """What takes the meaning from the findings: a network that is no better than naming one class for everyone.

    Args:
        audits: single-label AUDITs by label.
        search: ``search.json``; empty for a train run.
    """
    said = [line for label, audit in audits.items() if (line := _useless(label, audit))]
    floor = (search.get("reward") or {}).get("accuracy_floor")
    reached = [trial["accuracy"] for trial in search.get("trials", []) if trial.get("accuracy") is not None]
    if floor is not None and reached and max(reached) < floor:
        said.append(
            f"No candidate reached the accuracy that the reward asks for ({percent(floor)}), so all have the same "
            "reward and the choice among them is arbitrary. Train longer, on more data, or with other limits."
        )
    return said


def _useless(label: str, audit: Mapping[str, Any]) -> str:
    classes = len(audit.get("classes") or [])
    accuracy = Estimate.read(audit.get("overall", {}).get("balanced_accuracy"))
    if accuracy.value is None or classes < 2:
        return ""
    low = accuracy.value if accuracy.low is None else accuracy.low
    if low > 1 / classes + 1e-9:
        return ""
    where = f"On {label}, it is" if label else "It is"
    return (
        f"{where} not shown to be better than naming one class for everyone: balanced accuracy "
        f"{sentence(accuracy, unit='percent')}, where one class for all gives {percent(1 / classes)}. "
        "A network that says the same to everyone has small gaps; they are no merit."
    )
