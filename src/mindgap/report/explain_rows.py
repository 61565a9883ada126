"""Tables and findings of an explanation: focus by group, right and wrong cases, gaps against their floors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mindgap.metrics.holm import holm
from mindgap.report.estimate import Estimate, count, decimal, interval, p_equals, size
from mindgap.report.findings import Finding
from mindgap.report.measures import Measure
from mindgap.report.verdict import Verdict, judge

Record = Mapping[str, Any]
_FEW = 10
COARSE_PX = 6
"""Values along a side of a map, under which focus says little."""
CASES = {"all": "all images", "right": "right cases", "wrong": "wrong cases"}
FOCUS_GAP = Measure("focus_gap", "Gap in focus", "largest mean focus of a group − smallest")


@dataclass(frozen=True)
class Figure:
    """A value of focus, and what stands below it."""

    value: str
    under: tuple[str, ...]
    undefined: bool = False


@dataclass(frozen=True)
class FocusRow:
    """One group: images, and the focus on all, the right and the wrong ones."""

    name: str
    n: int
    right: int
    wrong: int
    blank_maps: int
    is_small: bool
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class GapRow:
    """The gap over all, right or wrong cases, and how it reads."""

    case: str
    gap: Estimate
    verdict: Verdict


@dataclass(frozen=True)
class FocusTable:
    """Groups and gaps of one attribute."""

    attribute: str
    rows: tuple[FocusRow, ...]
    gaps: tuple[GapRow, ...]
    unknown: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class FocusPart:
    """Figures of one label, or of one label per image (an empty name)."""

    label: str
    overall: tuple[Figure, ...]
    right: int
    wrong: int
    blank_maps: int
    tables: tuple[FocusTable, ...]


def parts_of(record: Record) -> dict[str, Record]:
    """What the record says by label; a task of one label per image has an empty name."""
    return record.get("labels") or {"": record}


def coarse_maps(record: Record) -> str | None:
    """That a layer's maps are too coarse to follow a lesion; None where they are not, or no focus is known."""
    height, width = record["map_px"]
    known = any(part["focus"]["all"]["value"] is not None for part in parts_of(record).values())
    if min(height, width) >= COARSE_PX or not known:
        return None
    return (
        f"The layer's maps have {height} × {width} values: so few cannot follow the border of a lesion, and focus "
        "stays near 1 wherever the network looks. An earlier --layer has more, as have larger images."
    )


def focus_parts(record: Record) -> list[FocusPart]:
    """The tables of every label."""
    judged = focus_verdicts(record)
    return [
        FocusPart(
            label,
            tuple(figure_of(part["focus"][case]) for case in CASES),
            part["right"],
            part["wrong"],
            part["blank_maps"],
            tuple(_table(label, name, of, judged) for name, of in part["attributes"].items()),
        )
        for label, part in parts_of(record).items()
    ]


def focus_verdicts(record: Record) -> dict[tuple[str, str, str], Verdict]:
    """By label, attribute and case; p-values are adjusted over all labels and attributes of one case."""
    permutations = record["settings"]["permutations"]
    least_p = 1 / (permutations + 1) if permutations else 0.0
    gaps = {
        (label, name, case): Estimate.read(of["gaps"][case])
        for label, part in parts_of(record).items()
        for name, of in part["attributes"].items()
        for case in CASES
    }
    found: dict[tuple[str, str, str], Verdict] = {}
    for case in CASES:
        of_case = {key: gap for key, gap in gaps.items() if key[2] == case}
        adjusted = holm({key: gap.p_value if gap.value is not None else None for key, gap in of_case.items()})
        found |= {key: judge(gap, FOCUS_GAP, p_adjusted=adjusted[key], least_p=least_p) for key, gap in of_case.items()}
    return found


def focus_findings(record: Record) -> list[Finding]:
    """One finding per attribute (and label), on the gap over all images, the shown ones first."""
    judged, found = focus_verdicts(record), []
    for label, part in parts_of(record).items():
        for name, of in part["attributes"].items():
            verdict, gap = judged[label, name, "all"], Estimate.read(of["gaps"]["all"])
            title = _title(name, of, verdict) + (f" (label {label})" if label else "")
            found.append(Finding(name, verdict.kind, title, _details(of, gap, verdict), label=label))
    return sorted(found, key=lambda one: ("shown", "not shown", "not defined").index(one.kind))


def figure_of(value: Record, *, of: str = "") -> Figure:
    """A V of the record as a cell; its reason need not name the group whose row it stands in (``of``)."""
    found = Estimate.read(value)
    plain = str(found.reason).replace(f"group {of!r} has ", "") if of else str(found.reason)
    if found.value is None:
        return Figure("not defined", (plain,), undefined=True)
    return Figure(decimal(found.value), (interval(found) if found.has_interval else plain, size(found.n)))


def _table(label: str, name: str, of: Record, judged: Mapping[tuple[str, str, str], Verdict]) -> FocusTable:
    rows = tuple(
        FocusRow(
            group,
            one["n"],
            one["right"],
            one["wrong"],
            one["blank_maps"],
            "small" in one["flags"],
            tuple(figure_of(one["focus"][case], of=group) for case in CASES),
        )
        for group, one in of["groups"].items()
    )
    gaps = tuple(
        GapRow(words, Estimate.read(of["gaps"][case]), judged[label, name, case]) for case, words in CASES.items()
    )
    return FocusTable(name, rows, gaps, of["unknown"], tuple(of["left_out"]))


def _title(name: str, of: Record, verdict: Verdict) -> str:
    if verdict.kind == "not defined":
        return f"{name}: focus cannot be compared"
    if verdict.kind == "not shown":
        return f"{name}: no gap in focus shown"
    high, low = _extremes(of)
    return f"{name}: the maps lie more outside the lesion for {high} than for {low}"


def _details(of: Record, gap: Estimate, verdict: Verdict) -> tuple[str, ...]:
    if gap.value is None:
        return (f"Not defined: {gap.reason}.",)
    high, low = _extremes(of)
    groups = of["groups"]
    ends = " and ".join(
        f"{decimal(groups[name]['focus']['all']['value'])} in {name} ({size(groups[name]['focus']['all']['n'])})"
        for name in (high, low)
    )
    spread = f", 95\u202f% interval {interval(gap)}" if gap.has_interval else f", {interval(gap)}"
    floor = (
        f"; groups redrawn with the same mix of classes give {decimal(gap.noise_mean)} on average, "
        f"{decimal(gap.noise_p95)} at their 95th percentile"
        if gap.has_floor
        else "; no noise floor"
    )
    adjusted = "" if verdict.p_adjusted is None else f"; {p_equals(verdict.p_adjusted)} after Holm"
    text = f"Mean focus {ends}: a gap of {decimal(gap.value)}{spread}{floor}{adjusted}."
    return (text, f"{verdict.text[0].upper()}{verdict.text[1:]}.")


def _extremes(of: Record) -> tuple[str, str]:
    """The groups with the highest and the lowest mean focus."""
    means = {name: one["focus"]["all"]["value"] for name, one in of["groups"].items()}
    known = {name: value for name, value in means.items() if value is not None and name not in of["left_out"]}
    return max(known, key=lambda name: known[name]), min(known, key=lambda name: known[name])


def small_cells(record: Record) -> list[str]:
    """Which groups have few images, or few right or wrong ones, in words."""
    found = []
    for label, part in parts_of(record).items():
        for name, of in part["attributes"].items():
            of_label = f", label {label}" if label else ""
            for group, one in of["groups"].items():
                few = [f"{count(one[kind])} {kind}" for kind in ("right", "wrong") if one[kind] < _FEW]
                if "small" in one["flags"]:
                    found.append(f"{name} {group}: {size(one['n'])}{of_label}")
                elif few:
                    found.append(f"{name} {group}: {' and '.join(few)} cases only{of_label}")
    return found
