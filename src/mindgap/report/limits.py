"""What the data cannot answer: groups too small, classes without positives, missing values, undefined figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mindgap.core.small_group import SMALL_GROUP
from mindgap.report.cautions import classes_that_occur
from mindgap.report.estimate import Estimate, count, listed, named
from mindgap.report.measures import measure_of
from mindgap.report.standing import small_groups

Audit = Mapping[str, Any]


def data_limits(
    audits: Mapping[str, Audit],
    *,
    store: Mapping[str, Any] | None = None,
    excluded_groups: Iterable[Any] | Mapping[str, Any] = (),
) -> list[str]:
    """One sentence per limit.

    Args:
        audits: single-label AUDITs by what they are of, such as ``test split``.
        store: summary of the store that a run was trained on; None where the model is not ours.
        excluded_groups: those a search's reward left out.
    """
    said = [line for split, audit in audits.items() for line in _small_groups(split, audit)]
    excluded = _names(excluded_groups)
    if excluded:
        said.append(
            f"Left out of U in the search's reward, being too small on the validation split: {', '.join(excluded)}. "
            "The reward did not look at these groups; their figures stand in the tables all the same."
        )
    said += [line for split, audit in audits.items() for line in _absent_classes(split, audit)]
    said += [line for split, audit in audits.items() for line in _without_positives(split, audit)]
    unknown = _unknown(audits)
    said += [
        _unknown_sentence(name, counts, trained=store is not None)
        for name, counts in unknown.items()
        if any(k for k, _ in counts.values())
    ]
    said += [
        _outside(name, part["out_of_range"]) for name, part in _attributes(audits).items() if part.get("out_of_range")
    ]
    said += _of_store(store or {}, counted=set(unknown))
    return list(dict.fromkeys([*said, *(line for split, audit in audits.items() for line in _undefined(split, audit))]))


def _small_groups(split: str, audit: Audit) -> list[str]:
    lines = []
    for attribute, part in audit.get("attributes", {}).items():
        small = small_groups(part)
        if small:
            lines.append(
                f"{attribute}, {split}: under {SMALL_GROUP} images in {listed(small)}; "
                "one image more or less moves such a figure by over 3 points."
            )
    return lines


def _without_positives(split: str, audit: Audit) -> list[str]:
    lines = []
    for attribute, part in audit.get("attributes", {}).items():
        for name, group in part.get("groups", {}).items():
            flags = [str(flag).partition(":") for flag in group.get("flags", [])]
            classes = [name_of_class for kind, _, name_of_class in flags if kind == "no_positives"]
            if classes:
                lines.append(
                    f"{attribute} = {name}, {split}: no image of class {named(classes)}; "
                    f"whether {'that class is' if len(classes) == 1 else 'those are'} found in this group is unknown."
                )
    return lines


def _undefined(split: str, audit: Audit) -> list[str]:
    """A line per reason, with all gaps of an attribute, or all attributes of a gap, that it holds for."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for attribute, part in audit.get("attributes", {}).items():
        for name, record in part.get("gaps", {}).items():
            gap = Estimate.read(record)
            if gap.value is None:
                by_reason.setdefault((attribute, str(gap.reason)), []).append(measure_of(name).label.replace(", ", " "))
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (attribute, reason), labels in by_reason.items():
        alike.setdefault((reason, tuple(labels)), []).append(attribute)
    return [
        f"{listed(labels)} over {listed(of)}, {split}, {'is' if len(labels) == 1 else 'are'} not defined: {reason}."
        for (reason, labels), of in alike.items()
    ]


def _absent_classes(split: str, audit: Audit) -> list[str]:
    occur = classes_that_occur(audit)
    absent = [name for name in audit.get("classes") or () if name not in occur]
    return [f"No image of class {named(absent)} in the {split}: no figure speaks of it."] if absent else []


def _unknown(audits: Mapping[str, Audit]) -> dict[str, dict[str, tuple[int, int]]]:
    """By attribute and audited split: images of unknown group and all images, where the AUDIT counts them."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for name_of_split, audit in audits.items():
        split = name_of_split.partition(" (label ")[0]  # the labels of a split share their images
        for attribute, part in audit.get("attributes", {}).items():
            if part.get("unknown") is not None:
                found.setdefault(attribute, {})[split] = int(part["unknown"]), int(audit.get("n") or 0)
    return found


def _unknown_sentence(attribute: str, counts: Mapping[str, tuple[int, int]], *, trained: bool) -> str:
    said = ", ".join(f"{count(k)} of {count(n)} images of the {split}" for split, (k, n) in counts.items() if k)
    text = f"{attribute} is unknown for {said}; they are left out of the figures over {attribute}."
    return f"{text} Images of unknown {attribute} in the training split were trained on." if trained else text


def _attributes(audits: Mapping[str, Audit]) -> dict[str, Mapping[str, Any]]:
    """One record per attribute; labels and splits share the bands."""
    return {name: part for audit in audits.values() for name, part in audit.get("attributes", {}).items()}


def _outside(name: str, rows: int) -> str:
    return f"{count(rows)} values of {name} lie outside its bands and count as unknown."


def _of_store(store: Mapping[str, Any], *, counted: set[str]) -> list[str]:
    lines = []
    for name, attribute in store.get("attributes", {}).items():
        unknown, outside = attribute.get("unknown") or 0, attribute.get("out_of_range") or 0
        if unknown and name not in counted:
            lines.append(_unknown_sentence(name, {"store": (unknown, store.get("n") or 0)}, trained=True))
        if outside:
            lines.append(f"In the store, {_outside(name, outside)}")
    dropped = {code: number for code, number in (store.get("dropped") or {}).items() if number}
    if dropped:
        kinds = ", ".join(f"{count(number)} {code.replace('_', ' ')}" for code, number in sorted(dropped.items()))
        lines.append(f"Rows of the table that did not enter the store: {kinds}.")
    pairs = _near_duplicates(store.get("duplicates"))
    if pairs:
        lie = (
            "1 pair of nearly identical images lies"
            if pairs == 1
            else f"{count(pairs)} pairs of nearly identical images lie"
        )
        lines.append(f"{lie} in different splits; test figures may be flattered.")
    return lines


def _near_duplicates(record: object) -> int:
    if isinstance(record, bool) or record is None:
        return 0
    if isinstance(record, int):
        return record
    if isinstance(record, list):
        return len(record)
    if isinstance(record, Mapping):
        for key in ("pairs_across_splits", "across_splits", "pairs", "count", "n"):
            if key in record:
                return _near_duplicates(record[key])
    return 0


def _names(groups: Iterable[Any] | Mapping[str, Any]) -> list[str]:
    if isinstance(groups, Mapping):
        return [f"{name} (n = {value})" if isinstance(value, int) else str(name) for name, value in groups.items()]
    return [f"{item.get('name')} (n = {item.get('n')})" if isinstance(item, Mapping) else str(item) for item in groups]
