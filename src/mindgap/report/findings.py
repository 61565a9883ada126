"""What the evidence lets a page say, in plain words; a sentence never claims more than interval and floor allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mindgap.report.estimate import Estimate, count, decimal, p_text, percent, sentence, size
from mindgap.report.measures import Measure, measure_of

LEVEL = 0.05
SMALL = 30
Kind = Literal["shown", "not shown", "not defined"]


@dataclass(frozen=True)
class Verdict:
    """Whether a gap stands out of chance.

    Attributes:
        kind: ``shown`` needs all three: beyond the floor's adverse 95 %, an adjusted p of at most 0.05, and an interval
            clear of parity.
        p_adjusted: the p-value after Holm over the attributes that were judged together.
        text: the verdict in a few words, with n.
    """

    kind: Kind
    p_adjusted: float | None
    text: str


def judge(gap: Estimate, measure: Measure, *, p_adjusted: float | None) -> Verdict:
    """Judges one gap; a figure without floor, interval or p-value is never called shown."""
    if gap.value is None:
        return Verdict("not defined", p_adjusted, f"not defined: {gap.reason}")
    if gap.has_floor and p_adjusted is not None and _clear_of_chance(gap, measure) and p_adjusted <= LEVEL:
        return Verdict("shown", p_adjusted, "beyond its noise floor")
    where = "" if gap.n is None else f" at {size(gap.n)}"
    if not gap.has_floor or p_adjusted is None or not gap.has_interval:
        return Verdict("not shown", p_adjusted, f"not judged: no noise floor or interval{where}")
    return Verdict("not shown", p_adjusted, f"not distinguishable from chance{where}")


def _clear_of_chance(gap: Estimate, measure: Measure) -> bool:
    if gap.value is None or gap.low is None or gap.high is None or gap.noise_p95 is None:
        return False
    if measure.worse_is_larger(gap):
        return gap.value > gap.noise_p95 and (measure.parity is None or gap.low > measure.parity)
    return gap.value < gap.noise_p95 and (measure.parity is None or gap.high < measure.parity)


def holm(p_values: Mapping[Any, float | None]) -> dict[Any, float | None]:
    """Holm's step-down adjustment; undefined values stay out and are not counted.

    Example:
        >>> holm({"sex": 0.01, "age": 0.04, "tone": None})
        {'sex': 0.02, 'age': 0.04, 'tone': None}
    """
    known = sorted((p, i, key) for i, (key, p) in enumerate(p_values.items()) if p is not None)
    adjusted: dict[Any, float | None] = dict.fromkeys(p_values)
    highest = 0.0
    for rank, (p, _, key) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[key] = highest
    return adjusted


def verdicts(audit: Mapping[str, Any]) -> dict[tuple[str, str], Verdict]:
    """A verdict for every attribute and gap of a single-label AUDIT; each gap is adjusted over the attributes."""
    attributes = audit.get("attributes", {})
    gaps = {
        (attribute, name): Estimate.read(record)
        for attribute, part in attributes.items()
        for name, record in part.get("gaps", {}).items()
    }
    result: dict[tuple[str, str], Verdict] = {}
    for name in {key[1] for key in gaps}:
        same = {key: gap.p_value if gap.value is not None else None for key, gap in gaps.items() if key[1] == name}
        for key, adjusted in holm(same).items():
            result[key] = judge(gaps[key], measure_of(name), p_adjusted=adjusted)
    return result


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


def findings(audit: Mapping[str, Any], *, lead: str | None = None, subject: str = "network") -> list[Finding]:
    """One finding per attribute of a single-label AUDIT, the leading attribute first."""
    judged = verdicts(audit)
    names = sorted(audit.get("attributes", {}), key=lambda name: name != lead)
    return [_finding(name, audit["attributes"][name], judged, subject, len(names)) for name in names]


def _finding(
    attribute: str, part: Mapping[str, Any], judged: Mapping[tuple[str, str], Verdict], subject: str, attributes: int
) -> Finding:
    gap = Estimate.read(part.get("gaps", {}).get("unfairness"))
    verdict = judged.get((attribute, "unfairness")) or judge(gap, measure_of("unfairness"), p_adjusted=None)
    ordered = by_accuracy(part.get("groups", {}))
    details = [_worst_sentence(ordered, shown=verdict.kind == "shown"), _gap_sentence(gap, verdict, attributes)]
    details.append(case_mix_sentence(attribute, part, judged))
    details.extend(_small_sentence(part.get("groups", {})))
    return Finding(
        attribute, verdict.kind, _title(attribute, ordered, verdict, gap, subject), tuple(filter(None, details))
    )


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
        return f"Of the groups with at least {SMALL} images, the worst and the best off are {figures}"
    return f"The lowest and the highest point estimates: {figures} Which group is lowest may itself be chance."


def _gap_sentence(gap: Estimate, verdict: Verdict, attributes: int) -> str:
    if gap.value is None:
        return ""
    text = f"Unfairness U, the sum over groups of |group accuracy − overall accuracy|, is {sentence(gap)}."
    if gap.has_floor:
        over = f" after Holm over {attributes} attributes" if attributes > 1 else ""
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
    elif plain.value is not None and plain.value > 2 * standard.value and verdict.kind != "not defined":
        text += (
            " Plain U is over twice that: by these point estimates much of it goes with which classes each group has."
        )
    return text


def _small_sentence(groups: Mapping[str, Any]) -> list[str]:
    small = [f"{name} ({size(group.get('n') or 0)})" for name, group in groups.items() if (group.get("n") or 0) < SMALL]
    if not small:
        return []
    return [f"Too few images to say anything of: {', '.join(small)}."]
