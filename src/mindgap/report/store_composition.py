"""Who is in a data set: every group's sizes and classes, drawn and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mindgap.metrics.interval import MIN_CLUSTERS
from mindgap.report.estimate import percent
from mindgap.report.groups import flag_texts
from mindgap.report.store_drawing import OTHER, PARTS, class_parts, draw_classes, draw_label, draw_splits
from mindgap.report.store_findings import standardized_sentence, store_case_mix_sentence

Record = Mapping[str, Any]
_FLAGS = {"few_clusters": f"under {MIN_CLUSTERS} clusters", "no_images": "no image"}


@dataclass(frozen=True)
class CompositionRow:
    """One group of an attribute: its sizes and classes."""

    name: str
    n: int
    classes: Markup | None
    splits: Markup
    sizes: tuple[int, ...]
    flags: tuple[str, ...]


def composition(record: Record) -> dict[str, Any]:
    """What the template of the composition needs."""
    multi = record["task"] == "multi-label"
    totals = {c: sum(split["classes"][c] for split in record["splits"].values()) for c in record["classes"]}
    parts = class_parts(totals)
    legend = [(name, PARTS - 1 if name == OTHER else number) for number, name in enumerate(parts)]
    attributes = [
        {
            "name": name,
            "rows": _composition_rows(part, None if multi else parts),
            "labels": _label_rows(part, record["classes"]) if multi else [],
            "groups": list(part["groups"]),
            "tables": {"all": part["groups"]} | {split: one["groups"] for split, one in part["splits"].items()},
            "unknown": part["unknown"],
            "mix": store_case_mix_sentence(part),
            "standard": standardized_sentence(part),
        }
        for name, part in record["attributes"].items()
    ]
    return {
        "composition": attributes,
        "class_legend": [] if multi else legend,
        "classes": record["classes"],
        "split_names": list(record["splits"]),
        "judged": record["judged_on"],
        "multi": multi,
    }


def _composition_rows(part: Record, parts: Mapping[str, tuple[str, ...]] | None) -> list[CompositionRow]:
    most = max([1, *(group["n"] for group in part["groups"].values())])
    judged = part["detectable"]["split"]
    rows = []
    for name, group in part["groups"].items():
        sizes = {split: one["groups"][name]["n"] for split, one in part["splits"].items()}
        flags = part["splits"][judged]["groups"][name]["flags"]
        said = flag_texts(_FLAGS.get(flag, flag) for flag in flags if not flag.startswith("no_negatives"))
        rows.append(
            CompositionRow(
                name,
                group["n"],
                None if parts is None else draw_classes(name, group["classes"], parts),
                draw_splits(name, sizes, most=most),
                tuple(sizes.values()),
                said,
            )
        )
    return rows


def _label_rows(part: Record, labels: list[str]) -> list[dict[str, Any]]:
    shares = {label: {name: group["shares"][label] for name, group in part["groups"].items()} for label in labels}
    return [
        {
            "label": label,
            "drawing": draw_label(label, by_group),
            "shares": [percent(share) for share in by_group.values()],
        }
        for label, by_group in shares.items()
    ]
