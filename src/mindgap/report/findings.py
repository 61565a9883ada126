"""What the evidence lets a page say, in plain words; a sentence never claims more than interval and floor allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mindgap.core.small_group import SMALL_GROUP
from mindgap.report.case_mix import case_mix_sentence, split_sentence
from mindgap.report.estimate import Estimate, count, decimal, listed, p_equals, percent, sentence, size
from mindgap.report.floor_words import WITHIN_CLASS, FloorWords, floor_words
from mindgap.report.measures import measure_of
from mindgap.report.standing import GroupFigure, Standing, small_groups
from mindgap.report.verdict import LEVEL, Kind, Verdict, judge, of_u, verdicts

OTHERS = ("equalized_odds_abs_mean", "abroca")
"""Gaps that a page leads with and that may lie where accuracy is the same in all groups."""
LEAVE_OUT = f"`mindgap audit --min-group {SMALL_GROUP}` leaves such groups out"


@dataclass(frozen=True)
class Finding:
    """The plain-words finding for one attribute.

    Attributes:
        attribute: its name.
        label: of a multi-label task; empty otherwise.
        kind: of the verdict on U.
        title: one sentence.
        details: what it rests on, sentence by sentence.
        judged: whether floor, interval and p were there to judge it by.
        beyond: what a shown gap is beyond, in words.
        others: labels of gaps beside accuracy that are shown, though U is not.
    """

    attribute: str
    kind: Kind
    title: str
    details: tuple[str, ...]
    label: str = ""
    judged: bool = True
    beyond: str = WITHIN_CLASS.holds
    others: tuple[str, ...] = ()

    @property
    def over(self) -> str:
        """What the gap lies over, in words: the attribute, of its label where there are labels."""
        return f"{self.attribute} (label {self.label})" if self.label else self.attribute


@dataclass(frozen=True)
class _Words:
    """What all sentences of an audit share: who is judged, over how many comparisons, and against what."""

    subject: str
    together: int
    floor: FloorWords


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
    together = sum(verdict.p_adjusted is not None for part in judged.values() for verdict in of_u(part))
    found: list[Finding] = []
    for label, audit in audits.items():
        for name in sorted(audit.get("attributes", {}), key=lambda name: name != lead):
            words = _Words(subject, together, floor_words(audit))
            finding = _finding(name, audit["attributes"][name], judged[label], words)
            found.append(replace(finding, title=f"{label}: {finding.title}", label=label) if label else finding)
    return found


def _finding(
    attribute: str, part: Mapping[str, Any], judged: Mapping[tuple[str, str], Verdict], words: _Words
) -> Finding:
    gap = Estimate.read(part.get("gaps", {}).get("unfairness"))
    verdict = judged.get((attribute, "unfairness")) or judge(gap, measure_of("unfairness"), p_adjusted=None)
    standing = Standing.of(part)
    details = [
        _extremes_sentence(standing, part, words, verdict),
        _gap_sentence(gap, verdict, standing, words),
        split_sentence(attribute, part, judged),
        case_mix_sentence(attribute, part, judged),
        _small_sentence(part),
    ]
    others = [] if verdict.kind == "shown" else _other_gaps(attribute, judged)
    details[2:2] = [_other_sentence(name, part) for name in others]
    cause = _cause(standing, verdict, gap)
    title = _open_title(attribute, cause, others) if cause else _title(attribute, standing, verdict, gap, words, others)
    judged_by_all = not verdict.text.startswith("not judged") and cause is None
    return Finding(
        attribute,
        verdict.kind,
        title,
        tuple(filter(None, details)),
        judged=judged_by_all,
        beyond=words.floor.holds,
        others=tuple(measure_of(name).label for name in others),
    )


def _other_gaps(attribute: str, judged: Mapping[tuple[str, str], Verdict]) -> list[str]:
    """The gaps beside accuracy that are shown, though U is not; p is taken times how many were looked at."""
    looked_at = [name for name in OTHERS if (attribute, name) in judged]
    level = LEVEL / max(len(looked_at), 1)
    verdict_of = {name: judged[attribute, name] for name in looked_at}
    return [name for name, one in verdict_of.items() if one.kind == "shown" and (one.p_adjusted or 0.0) <= level]


def _other_sentence(name: str, part: Mapping[str, Any]) -> str:
    gap = Estimate.read(part["gaps"][name])
    chance = f"chance reaches {decimal(gap.noise_p95)} in 1 case of 20"
    return f"{measure_of(name).label} is {sentence(gap)}; {chance}."


def _but(others: Sequence[str]) -> str:
    return f", but one in {listed([measure_of(name).label for name in others])}" if others else ""


def _cause(standing: Standing, verdict: Verdict, gap: Estimate) -> GroupFigure | None:
    """The group of under 30 images that keeps U from having an interval, so that nothing is said of the larger."""
    if verdict.kind != "not shown" or verdict.text.startswith("not judged") or not gap.has_floor or gap.has_interval:
        return None
    why = gap.reason or ""
    return next((one for one in standing.left_out if why.startswith(f"no interval: group {one.name!r} has ")), None)


def _open_title(attribute: str, cause: GroupFigure, others: Sequence[str]) -> str:
    return (
        f"Whether there is a gap in accuracy over {attribute} is open{_but(others)}: {cause.sized} is too small, and "
        f"it counts in U, which has no interval then; {LEAVE_OUT}."
    )


def _title(
    attribute: str, standing: Standing, verdict: Verdict, gap: Estimate, words: _Words, others: Sequence[str]
) -> str:
    if verdict.kind == "shown":
        return f"A gap over {attribute} is shown{_shown_between(standing, words.subject)}."
    small = f"; every group has under {SMALL_GROUP} images" if standing.all_small else ""
    if verdict.kind == "not defined" or verdict.text.startswith("not judged"):
        shown = f"; one in {listed([measure_of(name).label for name in others])} is shown" if others else ""
        return f"The gap over {attribute} is {verdict.text}{small}{shown}."
    return (
        f"No gap in accuracy over {attribute} shown{_but(others)}: a U of {decimal(gap.value)} is not distinguishable "
        f"from {words.floor.holds} at this n ({count(gap.n)} images){small}."
    )


def _shown_between(standing: Standing, subject: str) -> str:
    """Between which groups the shown gap lies, or why that is open."""
    if standing.all_small:
        return f", but every group has under {SMALL_GROUP} images: which is worst off is open"
    if len(standing.ordered) < 2:
        return ""
    if standing.low_doubt or standing.high_doubt:
        return f"; {_open_to_small_groups(standing)}"
    worst, best = standing.ordered[0], standing.ordered[-1]
    if standing.without_interval:
        return f", though {worst.name} or {best.name}, its lowest and highest group, has no interval"
    if not standing.apart:
        return f", though the intervals of its lowest and highest group, {worst.name} and {best.name}, overlap"
    return (
        f": the {subject} is right for {percent(worst.value)} of {worst.name} and {percent(best.value)} of {best.name}"
    )


def _open_to_small_groups(standing: Standing) -> str:
    low, high = standing.low_doubt, standing.high_doubt
    if low and high:
        return (
            f"which groups are worst and best off is open: the lowest, {low.sized}, and the highest, {high.sized}, "
            "are too small"
        )
    if low:
        return f"which group is worst off is open, as the lowest, {low.sized}, is too small"
    return f"which group is best off is open, as the highest, {high.sized if high else ''}, is too small"


def _extremes_sentence(standing: Standing, part: Mapping[str, Any], words: _Words, verdict: Verdict) -> str:
    if len(standing.ordered) < 2:
        return ""
    worst, best = standing.ordered[0], standing.ordered[-1]
    shown = verdict.kind == "shown"
    contrasted = shown and standing.apart
    name = "worst and the best off are" if contrasted else "lowest and the highest point estimates:"
    start = f"Of the groups with at least {SMALL_GROUP} images, the {name}" if standing.left_out else f"The {name}"
    text = (
        f"{start} {worst.name}, right for {sentence(worst.accuracy, unit='percent')}, and {best.name}, right for "
        f"{sentence(best.accuracy, unit='percent')}: {decimal(100 * (best.value - worst.value), 1)} points apart"
        f"{_difference_interval(best.value - worst.value, part)}."
    )
    text += (
        _tied(standing) if contrasted else "" if shown or verdict.lacks_only_interval else _not_shown(standing, words)
    )
    for group, where in ((standing.low_doubt, "lower"), (standing.high_doubt, "higher")):
        text += f" {group.sized} lies {where} still, but has too few images to place it." if group else ""
    return text


def _difference_interval(difference: float, part: Mapping[str, Any]) -> str:
    """The interval of the difference, where the AUDIT has it: its own difference is over all groups, the small too."""
    recorded = Estimate.read(part.get("gaps", {}).get("accuracy_difference"))
    if recorded.value is None or not recorded.has_interval or abs(recorded.value - difference) > 1e-9:
        return ""
    return f" (95\u202f% interval {decimal(100 * (recorded.low or 0), 1)} to {decimal(100 * (recorded.high or 0), 1)})"


def _not_shown(standing: Standing, words: _Words) -> str:
    """What to make of the extremes of a gap that is not shown: chance, or the mix of classes."""
    if standing.apart:
        return f" Their intervals are apart; {words.floor.redrawn} can differ as much."
    if standing.disjoint:
        return ""
    return " Which group is lowest may itself be chance."


def _tied(standing: Standing) -> str:
    """Which other groups, short of the best, may be the worst off as well: their intervals overlap the lowest one's."""
    lowest, *others = standing.ordered[:-1]
    high = lowest.accuracy.high
    tied = [group.name for group in others if high is not None and (group.accuracy.low or 0.0) <= high]
    if not tied:
        return ""
    return f" The interval of {lowest.name} overlaps that of {listed(tied)}: which of them is worst off is open."


def _gap_sentence(gap: Estimate, verdict: Verdict, standing: Standing, words: _Words) -> str:
    if gap.value is None:
        return ""
    text = f"Unfairness U, the sum over groups of |group accuracy − overall accuracy|, is {sentence(gap)}."
    if standing.largest_term:
        group, term = standing.largest_term
        small = f", under {SMALL_GROUP} images" if group.is_small else ""
        side = "above" if term > 0 else "below"
        text += (
            f" The largest term is that of {group.name} ({size(group.n)}{small}), {decimal(abs(term))} {side} overall."
        )
    if gap.has_floor:
        over = f" after Holm over {words.together} comparisons" if words.together > 1 else ""
        text += (
            f" Groups drawn at random {words.floor.among} give {decimal(gap.noise_mean)} on average and "
            f"{decimal(gap.noise_p95)} or more in 1 case of 20 ({p_equals(verdict.p_adjusted)}{over})."
        )
    if verdict.lacks_only_interval:
        text += (
            " That is beyond the floor, but without an interval it is not called shown: join the groups of few clusters"
        )
        text += " to others, or leave them out."
    if verdict.kind == "not shown" and gap.has_interval:
        text += f" That does not show equal treatment either: a gap of up to {decimal(gap.high)} fits the data."
    return text


def _small_sentence(part: Mapping[str, Any]) -> str:
    small = small_groups(part)
    if not small:
        return ""
    left_out = part.get("left_out") or ()
    sizes = {name: int(group.get("n") or 0) for name, group in part["groups"].items() if name not in left_out}
    counted = [name for name, n in sizes.items() if 0 < n < SMALL_GROUP]
    told = f"Too few images to say anything of: {listed(small)}."
    if not counted or len(counted) == sum(n > 0 for n in sizes.values()):
        return told
    return f"{told} {listed(counted)} {'counts' if len(counted) == 1 else 'count'} in U all the same; {LEAVE_OUT}."
