"""Whether a gap stands out of chance and case mix: interval, noise floor and adjusted p-value together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mindgap.metrics.holm import holm
from mindgap.report.estimate import Estimate, size
from mindgap.report.floor_words import WITHIN_CLASS, FloorWords, floor_words
from mindgap.report.measures import Measure, measure_of

LEVEL = 0.05
TOO_FEW = "too few permutations for so many comparisons"
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


def judge(
    gap: Estimate,
    measure: Measure,
    *,
    p_adjusted: float | None,
    floor: FloorWords = WITHIN_CLASS,
    least_p: float = 0.0,
) -> Verdict:
    """Judges one gap; a figure without floor, interval or p-value is never called shown.

    A gap within its floor, or of a large p, needs no interval to be called not distinguishable from it.

    Args:
        gap: the gap.
        measure: what it is.
        p_adjusted: its p after Holm.
        floor: what its noise floor is called.
        least_p: the p of a gap that no permutation reached, 1/(permutations + 1). One that small before Holm and over
            .05 after it says that there are too few permutations, not that the gap is chance.
    """
    if gap.value is None:
        return Verdict("not defined", p_adjusted, f"not defined: {gap.reason}")
    floored = gap.has_floor and p_adjusted is not None
    small_p = p_adjusted is not None and p_adjusted <= LEVEL
    if floored and not small_p and gap.p_value is not None and gap.p_value <= least_p * (1 + 1e-9):
        return Verdict("not shown", p_adjusted, f"not judged: {TOO_FEW}, {size(gap.n)}")
    beyond = floored and small_p and _beyond_floor(gap, measure)
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
                gaps[key],
                measure_of(name),
                p_adjusted=adjusted,
                floor=floor_words(audits[label]),
                least_p=_least_p(audits[label]),
            )
    return result


def of_u(judged: Mapping[tuple[str, str], Verdict]) -> list[Verdict]:
    """The verdicts on U of one label, from ``verdicts``."""
    return [verdict for (_, gap), verdict in judged.items() if gap == "unfairness"]


def _least_p(audit: Mapping[str, Any]) -> float:
    """The smallest p that the permutations of an AUDIT can give; 0 where it does not tell how many there were."""
    permutations = (audit.get("settings") or {}).get("permutations")
    return 1 / (permutations + 1) if permutations else 0.0
