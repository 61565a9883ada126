"""What a data set can and cannot answer, in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mindgap.core.small_group import SMALL_GROUP
from mindgap.report.estimate import count, decimal, listed, named, p_equals, percent, size
from mindgap.report.store_drawing import points

Record = Mapping[str, Any]


@dataclass(frozen=True)
class StoreFinding:
    """One statement; ``kind`` is ``shown`` where something needs the reader's attention."""

    title: str
    details: tuple[str, ...]
    kind: str = ""


def store_findings(record: Record) -> list[StoreFinding]:
    """The statements in the order they matter: who is too few, leaks, then attribute by attribute, then tone."""
    found = [_too_small(record), leak_finding(record)]
    found += [attribute_finding(name, part) for name, part in record["attributes"].items()]
    return [*found, _tone(record)]


def store_overview(record: Record) -> str:
    """The smallest gap that each attribute could show, in one sentence."""
    best = {}
    for name, part in record["attributes"].items():
        deltas = [one["versus_rest"]["value"] for one in part["detectable"]["groups"].values()]
        best[name] = min((delta for delta in deltas if delta is not None), default=None)
    shown = [f"{points(delta)} over {name}" for name, delta in best.items() if delta is not None]
    never = [name for name, delta in best.items() if delta is None]
    said = f"The smallest gap that would show is {listed(shown)}." if shown else ""
    return f"{said} No gap over {listed(never, last='or')} would show.".strip() if never else said


def small_by_attribute(record: Record) -> dict[str, list[str]]:
    """For each attribute, the groups under 30 images on the judged split, with their sizes."""
    judged = record["judged_on"]
    return {
        name: [
            f"{group} ({size(part['splits'][judged]['groups'][group]['n'])})"
            for group in part["splits"][judged]["small_groups"]
        ]
        for name, part in record["attributes"].items()
    }


def _too_small(record: Record) -> StoreFinding:
    small, judged = small_by_attribute(record), record["judged_on"]
    total = sum(len(part["groups"]) for part in record["attributes"].values())
    few = sum(map(len, small.values()))
    if not few:
        names = listed(record["attributes"])
        title = f"Every group of {names} has {SMALL_GROUP} or more images on the {judged} split"
        return StoreFinding(title, ("How small a gap each could show is said below.",))
    title = (
        f"{few} of {total} groups {'has' if few == 1 else 'have'} under {SMALL_GROUP} images on the {judged} split: "
        "it cannot answer a question about them"
    )
    lines = [
        f"{name}, {len(groups)} of {len(record['attributes'][name]['groups'])}: {listed(groups)}."
        for name, groups in small.items()
        if groups
    ]
    return StoreFinding(title, tuple(lines), "shown")


def leak_finding(record: Record) -> StoreFinding:
    """Whether images of one cluster, copies or near-duplicates lie in different splits."""
    clusters = record["clusters"]
    spanning = clusters["in_several_splits"]["clusters"]
    pairs = record["duplicates"]
    same = pairs["identical"]["across_splits"]["pairs"] if pairs else 0
    near = pairs["near"]["across_splits"]["pairs"] - same if pairs else 0
    details = [] if pairs else ["Images were not compared with one another."]
    if not clusters["rows_with_a_cluster"]:
        details.append(
            "The table names no clusters: images of one person may lie in several splits, and nothing here would tell."
        )
    if pairs and (alike := pairs["near"]["across_clusters"]["pairs"]) and clusters["rows_with_a_cluster"]:
        details.append(f"{n_of(alike, 'pair')} of nearly identical images {_be(alike)} of different clusters.")
    if pairs and (doubt := pairs["near"]["across_labels"]["pairs"]):
        details.append(f"{n_of(doubt, 'pair')} of nearly identical images {_have(doubt)} different labels.")
    leaks = [n_of(spanning, "cluster")] * bool(spanning) + [n_of(same, "pair") + " of identical images"] * bool(same)
    leaks += [n_of(near, "pair") + " of nearly identical images"] * bool(near)
    if leaks:
        one = len(leaks) == 1 and spanning + same + near == 1
        title = f"{listed(leaks)} {'lies' if one else 'lie'} in different splits: test figures may be flattered"
        return StoreFinding(title, tuple(details), "shown")
    what = "cluster, copy or near-duplicate" if pairs else "cluster"
    return StoreFinding(f"No leak was found: no {what} lies in two splits", tuple(details))


def attribute_finding(name: str, part: Record) -> StoreFinding:
    """How large a gap over one attribute must be to show, and what else stands in the way of an answer."""
    detectable = part["detectable"]
    found = {g: f["versus_rest"]["value"] for g, f in detectable["groups"].items()}
    shown = {g: value for g, value in found.items() if value is not None}
    large = {g: value for g, value in shown.items() if detectable["groups"][g]["n"] >= SMALL_GROUP}
    if not shown:
        title = f"{name}: no difference between a group and the rest would show, however large"
        return StoreFinding(title, tuple(_details(part)), "shown")
    title = f"{name}: a group must be {_span(large or shown)} less accurate than the rest to show"
    lines = []
    small = [
        f"{g} ({'nothing would show' if value is None else points(value)})"
        for g, value in found.items()
        if g not in large
    ]
    if small and large:
        lines.append(f"That is for groups of {SMALL_GROUP} or more images; smaller ones: {listed(small)}.")
    return StoreFinding(title, (*lines, *_details(part)))


def _span(deltas: Mapping[str, float]) -> str:
    """The least and the largest of some differences, with the groups they are of."""
    least, most = min(deltas, key=deltas.__getitem__), max(deltas, key=deltas.__getitem__)
    if f"{deltas[least]:.3f}" == f"{deltas[most]:.3f}":
        return points(deltas[most])
    return f"{points(deltas[least])} ({least}) to {points(deltas[most])} ({most})"


def _details(part: Record) -> Iterable[str]:
    yield from [line for line in (chance_sentence(part["detectable"]), store_case_mix_sentence(part)) if line]
    if line := standardized_sentence(part):
        yield line


def chance_sentence(detectable: Record) -> str:
    """What U is by chance alone, and how much worse one group must be to lift it beyond that."""
    chance = detectable["chance"]
    if chance["mean"] is None:
        return f"U is not defined: {chance['reason']}."
    said = (
        f"With every group equally accurate, U is {decimal(chance['mean'])} on average by chance alone, and above "
        f"{decimal(chance['p95'])} one time in twenty."
    )
    worse = {g: f["unfairness"]["worse_by"] for g, f in detectable["groups"].items() if f["unfairness"]["worse_by"]}
    if not worse:
        return f"{said} No single group could be so much worse that U would show it."
    text = f"{said} U shows a single worse group if it is {_span(worse)} worse"
    hidden = [g for g, f in detectable["groups"].items() if g not in worse]
    return f"{text}; {listed(hidden)} could be always wrong and U would not show it." if hidden else f"{text}."


def store_case_mix_sentence(part: Record) -> str:
    """How different the groups' classes are; of several labels, the one that differs most."""
    mix = part["case_mix"]
    if "labels" in mix:
        known = {label: one for label, one in mix["labels"].items() if one["cramers_v"] is not None}
        if not known:
            return "How labels go with groups is not defined."
        most = max(known, key=lambda label: known[label]["cramers_v"])
        return f"The label that differs most between groups is {most}: {_association(known[most])}."
    if mix["cramers_v"] is None:
        return f"How different the groups' classes are is not defined: {mix['reason']}."
    if mix["p_value"] > 0.05:
        return f"The groups' classes are not shown to differ: {_association(mix)}."
    return f"The groups differ in which classes they have: {_association(mix)}. Plain gaps hold that difference too."


def _association(mix: Record) -> str:
    return f"Cramér's V {decimal(mix['cramers_v'], 2)} without chance, {p_equals(mix['p_value'])}"


def standardized_sentence(part: Record) -> str:
    """Over which classes the standardised gaps can be computed."""
    answerable = part["answerable"]
    if "labels" in answerable:
        undefined = [label for label, one in answerable["labels"].items() if not _standardized_defined(one)]
        return f"Standardised U is not defined for {listed(undefined)}." if undefined else ""
    if answerable["standardized"] is None:
        return ""
    standard = answerable["standardized"]
    if not _standardized_defined(answerable):
        reason = answerable["gaps"]["unfairness_standardized"]["reason"]
        return f"With the case mix held equal, U is not defined: {reason}."
    if not standard["left_out"]:
        return ""
    return (
        f"With the case mix held equal, U speaks of {named(standard['classes'])} "
        f"({percent(standard['covered'])} of the images); {named(standard['left_out'])} "
        f"{'is' if len(standard['left_out']) == 1 else 'are'} left out, having under {standard['min_cell']} images in "
        "a group."
    )


def _standardized_defined(answerable: Record) -> bool:
    return bool(answerable["gaps"]["unfairness_standardized"]["defined"])


def _tone(record: Record) -> StoreFinding:
    tone = record["tone"]
    if tone is None:
        return StoreFinding("Nothing is known of skin tone", ("It is measured by mindgap tone, from the pixels.",))
    if not tone["n"]:
        return StoreFinding("No image's skin tone is known", ("Flags say why, image by image.",), "shown")
    dark = tone["darker_than_iii"]
    if dark is None:  # the angle is of another range
        return StoreFinding(f"The skin tone of {n_of(tone['n'], 'image')} is measured", (), "shown")
    title = f"{count(dark)} of {count(tone['n'])} measured images are darker than tone band III"
    few = dark < SMALL_GROUP
    line = f"The angle was not measured on {n_of(tone['unknown'], 'image')}."
    details = (line, f"Under {SMALL_GROUP}: the set cannot answer a question about dark skin.") if few else (line,)
    return StoreFinding(title, details, "shown" if few else "")


def n_of(n: int, noun: str) -> str:
    """``1 pair``, ``2 pairs``."""
    return f"{count(n)} {noun}{'' if n == 1 else 's'}"


def _be(n: int) -> str:
    """Is or are."""
    return "is" if n == 1 else "are"


def _have(n: int) -> str:
    """Has or have."""
    return "has" if n == 1 else "have"
