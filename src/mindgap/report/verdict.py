"""Whether a gap stands out of chance and case mix: interval, noise floor and adjusted p-value together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mindgap.report.estimate import Estimate, size
from mindgap.report.floor_words import WITHIN_CLASS, FloorWords, floor_words
from mindgap.report.measures import Measure, measure_of

LEVEL = 0.05
Kind = Literal["shown", "not shown", "not defined"]


@dataclass(frozen=True)
class Verdict:
    """Whether a gap stands out of chance and case mix.

    Attributes:
        kind: ``shown`` needs all three: beyond the floor's adverse 95 %, an adjusted p of at most 0.05, and an interval
            clear of parity (any interval, where the measure has no value of parity).
        p_adjusted: the p-value after Holm over the attributes that were judged together.
        text: the verdict in a few words, with n.
        lacks_only_interval: whether it is beyond the floor with a small p, and an interval is all that is missing.
    """

    kind: Kind
    p_adjusted: float | None
    text: str
    lacks_only_interval: bool = False


def judge(gap: Estimate, measure: Measure, *, p_adjusted: float | None, floor: FloorWords = WITHIN_CLASS) -> Verdict:
    """Judges one gap; a figure without floor, interval or p-value is never called shown.

    A gap within its floor, or of a large p, needs no interval to be called not distinguishable from it.
    """
    if gap.value is None:
        return Verdict("not defined", p_adjusted, f"not defined: {gap.reason}")
    floored = gap.has_floor and p_adjusted is not None
    beyond = floored and _beyond_floor(gap, measure) and (p_adjusted or 0.0) <= LEVEL
    if beyond and gap.has_interval and _clear_of_parity(gap, measure):
        return Verdict("shown", p_adjusted, "beyond its noise floor")
    if not floored or (beyond and not gap.has_interval):
        text = f"not judged: {_missing(gap)}, {size(gap.n)}"
        return Verdict("not shown", p_adjusted, text, lacks_only_interval=floored)
    where = "" if gap.n is None else f" at {size(gap.n)}"
    return Verdict("not shown", p_adjusted, f"not distinguishable from {floor.holds}{where}")


def _missing(gap: Estimate) -> str:
    """What a figure lacks to be judged by, with the reason the record gives."""
    if gap.reason and gap.reason.startswith(("no interval", "no noise floor")):
        return gap.reason.replace("no interval: ", "no interval, as ", 1)
    if gap.has_interval:
        return "no noise floor"
    return ("no interval" if gap.has_floor else "no noise floor or interval") + (
        f" ({gap.reason})" if gap.reason else ""
    )


def _beyond_floor(gap: Estimate, measure: Measure) -> bool:
    if gap.value is None or gap.noise_p95 is None:
        return False
    return gap.value > gap.noise_p95 if measure.worse_is_larger(gap) else gap.value < gap.noise_p95


def _clear_of_parity(gap: Estimate, measure: Measure) -> bool:
    if gap.low is None or gap.high is None:
        return False
    if measure.parity is None:
        return True
    return gap.low > measure.parity if measure.worse_is_larger(gap) else gap.high < measure.parity


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


def verdicts(audits: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[tuple[str, str], Verdict]]:
    """Per label a verdict for every (attribute, gap); each gap is adjusted over all attributes and labels.

    Args:
        audits: single-label AUDITs by label; a task without labels has one, under the empty name.
    """
    gaps = {
        (label, attribute, name): Estimate.read(record)
        for label, audit in audits.items()
        for attribute, part in audit.get("attributes", {}).items()
        for name, record in part.get("gaps", {}).items()
    }
    result: dict[str, dict[tuple[str, str], Verdict]] = {label: {} for label in audits}
    for gap_name in {key[2] for key in gaps}:
        same = {key: gap.p_value if gap.value is not None else None for key, gap in gaps.items() if key[2] == gap_name}
        for key, adjusted in holm(same).items():
            label, attribute, name = key
            result[label][attribute, name] = judge(
                gaps[key], measure_of(name), p_adjusted=adjusted, floor=floor_words(audits[label])
            )
    return result
