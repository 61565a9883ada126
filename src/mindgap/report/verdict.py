"""Whether a gap stands out of chance and case mix: interval, noise floor and adjusted p-value together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mindgap.metrics.holm import holm
from mindgap.report.estimate import Estimate, size
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
    if not gap.has_floor or p_adjusted is None or not gap.has_interval:
        return Verdict("not shown", p_adjusted, f"not judged: {_missing(gap)}, {size(gap.n)}")
    where = "" if gap.n is None else f" at {size(gap.n)}"
    return Verdict("not shown", p_adjusted, f"not distinguishable from chance and case mix{where}")


def _missing(gap: Estimate) -> str:
    """What a figure lacks to be judged by, with the reason the record gives."""
    if gap.reason and gap.reason.startswith(("no interval", "no noise floor")):
        return gap.reason
    if gap.has_interval:
        return "no noise floor"
    return ("no interval" if gap.has_floor else "no noise floor or interval") + (
        f" ({gap.reason})" if gap.reason else ""
    )


def _clear_of_chance(gap: Estimate, measure: Measure) -> bool:
    if gap.value is None or gap.low is None or gap.high is None or gap.noise_p95 is None:
        return False
    if measure.worse_is_larger(gap):
        return gap.value > gap.noise_p95 and (measure.parity is None or gap.low > measure.parity)
    return gap.value < gap.noise_p95 and (measure.parity is None or gap.high < measure.parity)


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
            result[label][attribute, name] = judge(gaps[key], measure_of(name), p_adjusted=adjusted)
    return result
