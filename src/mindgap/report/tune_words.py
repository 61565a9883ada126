"""What a tuning did, in words, for its page and for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindgap.report.comparison_words import ComparisonFinding, comparison_findings
from mindgap.report.estimate import count, decimal, listed, percent
from mindgap.report.measures import measure_of

Record = Mapping[str, Any]
_MODES = {
    "multitask": "a head per label",
    "dynamic": "one head for all labels, of weighted sums",
    "thresholds": "a threshold per label",
}
PARTS = {"tuned_on": "tuned on", "held_back": "chosen on", "test": "test"}


def tune_sentences(record: Record) -> list[str]:
    """What was tuned, on how many images, and what was left out."""
    labels, rows = record["labels"], record["rows"]
    by = "all thresholds" if record["optimizer"] is None else f"{record['optimizer']}, {count(record['judged'])} heads"
    what = "One head for all classes"
    if record["task"] == "multi-label":
        what = f"{_MODES[record['mode']].capitalize()}: {listed(list(labels))}"
    said = [f"{what}; groups of {record['attribute']}; {by}."]
    if record["hidden"]:
        said.append(
            f"First a head with {count(record['hidden'])} hidden units was trained for accuracy, on the features of "
            "the training images: the fronts begin at it and call it the trained head; where models are compared it is "
            "“hidden”, and “trained” is the network as it was."
        )
    if record["subspace"]:
        said.append(f"Heads are offsets from the trained one in {record['subspace']} random directions.")
    if record["held_back"]:
        said.append(
            f"Tuned on {count(rows['tuned_on'])} validation images, chosen on {count(rows['held_back'])} others of "
            "other clusters."
        )
    else:
        said.append(f"Tuned and chosen on the same {count(rows['tuned_on'])} validation images, which flatter it.")
    if unknown := sum(rows["unknown_group"].values()):
        said.append(
            f"{count(unknown)} images of unknown group take no part in the figures of points, their accuracy included."
        )
    if record["left_out"]:
        said.append("Left out: " + "; ".join(f"{name} ({why})" for name, why in record["left_out"].items()) + ".")
    if record["test_reads"] > 1:
        said.append(
            f"The test split was read {record['test_reads']} times; points that were picked after a reading are "
            "flattered by it."
        )
    return said


def label_sentence(record: Record, name: str) -> str:
    """A label's chosen point on every part of the data beside the trained head."""
    label, gap = record["labels"][name], record["gap"]
    parts = [f"{PARTS[part]} {_pair(label, part, gap)}" for part in PARTS if label["figures"].get(part) is not None]
    return f"{name}: point {label['chosen']} of {len(label['front'])} ({label['reason']}); " + "; ".join(parts)


def tune_findings(record: Record) -> list[ComparisonFinding]:
    """What is shown on the test split, of the tuned network and of thresholds beside the trained one."""
    return [] if record["comparison"] is None else comparison_findings(record["comparison"])


def rival_findings(record: Record) -> list[ComparisonFinding]:
    """The same of the tuned network beside each rival, such as thresholds."""
    return [finding for compared in record["rivals"].values() for finding in comparison_findings(compared)]


def gap_label(name: str) -> str:
    """A gap's name on the page."""
    return {"uei": "UEI", "underestimation": "Mean |log US|"}.get(name) or measure_of(name).label


def figure(name: str, value: float | None) -> str:
    """A figure of a point as text; accuracy as per cent."""
    return percent(value) if name == "accuracy" else decimal(value)


def _pair(label: Record, part: str, gap: str) -> str:
    before, after = label["trained"][part], label["figures"][part]
    return (
        f"accuracy {percent(before['accuracy'])} → {percent(after['accuracy'])}, "
        f"{gap_label(gap)} {decimal(before[gap])} → {decimal(after[gap])}"
    )
