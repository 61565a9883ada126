"""What a data set cannot answer: one sentence per limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mindgap.core.small_group import SMALL_GROUP
from mindgap.report.estimate import count, listed, size
from mindgap.report.measures import measure_of
from mindgap.report.store_findings import n_of

Record = Mapping[str, Any]


def store_limits(record: Record) -> list[str]:
    """All limits, attribute by attribute, then of the whole set."""
    lines = [line for name, part in record["attributes"].items() for line in _attribute(name, part, record)]
    return list(dict.fromkeys([*lines, *_whole(record)]))


def _attribute(name: str, part: Record, record: Record) -> Iterator[str]:
    for split, counted in part["splits"].items():
        small = [f"{group} ({size(counted['groups'][group]['n'])})" for group in counted["small_groups"]]
        if small and record["splits"][split]["n"]:
            yield f"{name}, {split}: under {SMALL_GROUP} images in {listed(small)}."
    judged = record["judged_on"]
    lacking = {
        group: [flag.partition(":")[2] for flag in figures["flags"] if flag.startswith("no_positives:")]
        for group, figures in part["splits"][judged]["groups"].items()
        if figures["n"]
    }
    said = [f"{listed(classes)} in {group}" for group, classes in lacking.items() if classes]
    if said:
        yield (
            f"{name}, {judged}: no image of {'; '.join(said)}. Whether a network finds these classes in these groups "
            "cannot be known."
        )
    for label, answerable in _answerables(part):
        where = f"{name}, label {label}" if label else name
        for reason, keys in _by_text(answerable, "reason").items():
            yield f"{_labels(keys)} over {where}, {judged}, cannot be computed: {reason}."
        for note, keys in _by_text(answerable, "note").items():
            yield f"{_labels(keys)} over {where}, {judged}: {note}."
    if part["unknown"]:
        yield f"{name} is unknown for {count(part['unknown'])} of {n_of(record['n'], 'image')}, which no gap speaks of."


def _by_text(answerable: Record, key: str) -> dict[str, list[str]]:
    """Gaps by the reason why they cannot be computed, or by the note on those that can."""
    found: dict[str, list[str]] = {}
    for name, gap in answerable["gaps"].items():
        if gap["defined"] == (key == "note") and gap[key] and (key, name) != ("note", "unfairness_standardized"):
            found.setdefault(gap[key], []).append(name)
    return found


def _labels(keys: list[str]) -> str:
    return "; ".join(measure_of(key).label for key in keys)


def _answerables(part: Record) -> Iterator[tuple[str, Record]]:
    answerable = part["answerable"]
    if "labels" in answerable:
        yield from answerable["labels"].items()
    else:
        yield "", answerable


def _whole(record: Record) -> Iterator[str]:
    store = record.get("store") or {}
    for name, n in (store.get("out_of_range") or {}).items():
        yield f"{n_of(n, 'value')} of {name} lie outside its bands and count as unknown."
    dropped = {code: n for code, n in (store.get("dropped") or {}).items() if n}
    if dropped:
        said = listed([f"{count(n)} {code.replace('_', ' ')}" for code, n in dropped.items()])
        yield f"Rows of the table that did not enter the store: {said}."
    if record["judged_on"] != "test":
        yield f"There is no test split: figures here are of the {record['judged_on']} split."
    if not record["clusters"]["rows_with_a_cluster"]:
        yield "The table names no clusters, so images of one person count as independent, which makes gaps look surer."
    if record["tone"] is None:
        yield "Nothing can be said of skin tone before mindgap tone has measured it."
    pairs = record["duplicates"]
    if pairs and pairs["near"]["crowded_buckets"]:
        yield "Many images share a part of their hash and were not all compared: there may be more near-duplicates."
