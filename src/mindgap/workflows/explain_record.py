"""The record of an explanation: focus over all images and per group, right and wrong cases apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.core.groups import Groups
from mindgap.core.small_group import SMALL_GROUP
from mindgap.data.image_store import Store
from mindgap.data.store_attributes import StoreAttribute
from mindgap.data.table import column_of
from mindgap.explain.focus import Focus
from mindgap.explain.focus_by_group import focus_by_group
from mindgap.explain.focus_records import FocusOptions
from mindgap.explain.store_focus import ChannelSums, ExplainedRows, lesions_of_rows

NO_MASKS = "the store has no lesion masks; mindgap prepare --masks or mindgap tone --masks"
_AT_ONCE = 1024
CASES = ("all", "right", "wrong")
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Judged:
    """What one question's figures are computed from, (n,) each: a class per image, or one of several labels.

    Attributes:
        focus: of every image.
        is_blank: whether nothing in the map speaks for the class.
        labels: true class, or 0 and 1 of a label.
        right: whether the prediction is the label.
        clusters: of the images.
    """

    focus: Focus
    is_blank: Flags
    labels: Integers
    right: Flags
    clusters: Integers

    def cases(self) -> dict[str, Flags]:
        """Which images each kind of case has."""
        return dict(zip(CASES, (np.ones_like(self.right), self.right, ~self.right), strict=True))


def judged_of(found: ExplainedRows, store: Store, rows: Integers, question: int) -> Judged:
    """The figures of one question of ``found``; of several labels its target is the label that is judged."""
    labels = store.labels[rows]
    if store.task == "multi-label":
        number = int(found.targets[question, 0])
        truth = labels[:, number].astype(np.int64)
        predicted = (found.probabilities[:, number] > 0.5).astype(np.int64)
    else:
        truth, predicted = labels.astype(np.int64), found.probabilities.argmax(axis=1)
    return Judged(
        found.focus[question], found.is_blank[question], truth, predicted == truth, store.clusters[rows]
    )  # fmt: skip


def mask_counts(store: Store, rows: Integers) -> dict[str, int]:
    """Rows whose mask is ``known``, and of them those with ``no_lesion`` in it, or nothing else (``all_lesion``)."""
    if store.masks is None:
        return {"known": 0, "no_lesion": 0, "all_lesion": 0}
    chunks = np.array_split(rows, math.ceil(len(rows) / _AT_ONCE))
    shares = np.concatenate([lesions_of_rows(store, chunk).double().mean(dim=(1, 2)).numpy() for chunk in chunks])
    known = column_of(store.table, "has_mask").to_numpy(dtype=np.bool_)[rows]
    counts = {"known": known, "no_lesion": known & (shares == 0), "all_lesion": known & (shares == 1)}
    return {name: int(of.sum()) for name, of in counts.items()}


def question_record(
    judged: Judged,
    attributes: Mapping[str, StoreAttribute],
    *,
    has_masks: bool,
    options: FocusOptions,
    min_group: int = 1,
) -> dict[str, Any]:
    """Focus of one question: overall, per attribute and group, with gaps.

    Args:
        judged: its figures.
        attributes: groups of the n images.
        has_masks: whether a mask of any image is known.
        options: how intervals and floors are made.
        min_group: images under which a group is left out of the gaps.
    """
    everyone = Groups("", ("all",), np.zeros_like(judged.labels))
    found = {case: _by_group(judged, which, everyone, options) for case, which in judged.cases().items()}
    record = {
        "n": len(judged.labels),
        "right": int(judged.right.sum()),
        "wrong": int((~judged.right).sum()),
        "blank_maps": int(judged.is_blank.sum()),
        "focus": {case: of["all"] for case, of in found.items()},
        "undefined": found["all"]["undefined"],
        "attributes": {name: _attribute(judged, of, options, min_group) for name, of in attributes.items()},
    }
    return record if has_masks else without_masks(record)


def channels_record(sums: ChannelSums, *, layer: str, chosen: Sequence[int]) -> dict[str, Any]:
    """What is known of the layer's channels, and which of them are drawn."""
    focus = sums.mean_focus
    return {
        "layer": layer,
        "n": len(focus),
        "images": sums.images,
        "dead": int((sums.activity == 0).sum()),
        "reason": NO_MASKS if not sums.counts.any() else None,
        "mean_focus": focus,
        "chosen": [
            {
                "channel": channel,
                "focus": focus[channel],
                "n": sums.counts[channel],
                "activity": sums.activity[channel] / sums.images,
            }
            for channel in chosen
        ],
    }


def _attribute(judged: Judged, of: StoreAttribute, options: FocusOptions, min_group: int) -> dict[str, Any]:
    groups = of.groups
    is_small = groups.counts() < min_group
    compared = Groups(groups.attribute, groups.names, np.where(np.append(is_small, True)[groups.ids], -1, groups.ids))
    found = {case: _by_group(judged, which, groups, options) for case, which in judged.cases().items()}
    return {
        "spec": of.spec,
        "n": int(groups.known.sum()),
        "unknown": int((~groups.known).sum()),
        "groups": {
            name: _group(judged, groups.ids == number)
            | {"focus": {case: record["groups"][name] for case, record in found.items()}}
            for number, name in enumerate(groups.names)
        },
        "left_out": [name for name, small in zip(groups.names, is_small, strict=True) if small],
        "gaps": {
            case: (_by_group(judged, which, compared, options) if is_small.any() else found[case])["gap"]
            for case, which in judged.cases().items()
        },
    }


def _group(judged: Judged, inside: Flags) -> dict[str, Any]:
    n = int(inside.sum())
    return {
        "n": n,
        "right": int((inside & judged.right).sum()),
        "wrong": int((inside & ~judged.right).sum()),
        "blank_maps": int((inside & judged.is_blank).sum()),
        "flags": ["small"] if n < SMALL_GROUP else [],
    }


def _by_group(judged: Judged, which: Flags, groups: Groups, options: FocusOptions) -> dict[str, Any]:
    rows = np.flatnonzero(which)
    return focus_by_group(
        Focus(judged.focus.values[rows], judged.focus.why[rows]),
        groups.take(rows),
        clusters=judged.clusters[rows],
        labels=judged.labels[rows],
        options=options,
    )


def without_masks(record: Any) -> Any:
    """The record with the one reason why no focus is defined."""
    if isinstance(record, dict):
        if "value" in record and "reason" in record:
            return record | {"reason": NO_MASKS}
        return {key: without_masks(value) for key, value in record.items()}
    return record
