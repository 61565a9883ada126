"""How many images each group has, by split and class, and what is too few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.audit.record import Record
from mindgap.core.groups import Groups
from mindgap.core.small_group import SMALL_GROUP
from mindgap.metrics.counts import Integers
from mindgap.metrics.interval import MIN_CLUSTERS


def class_indicators(labels: NDArray[Any], n_classes: int) -> NDArray[np.bool_]:
    """Bool (n, C): whether a row is of a class, from int64 (n,) class numbers or 0/1 labels (n, L)."""
    if labels.ndim == 2:
        return labels == 1
    return labels[:, None] == np.arange(n_classes)


def group_table(
    indicators: NDArray[np.bool_], groups: Groups, clusters: Integers, *, classes: Sequence[str], multi_label: bool
) -> Record:
    """Groups × classes of one split: n, clusters, images per class, their shares, and flags.

    Flags: ``small`` (under 30 images), ``few_clusters`` (under 5: no interval), ``no_images``, ``no_positives:CLASS``,
    and for yes-or-no labels ``no_negatives:LABEL``.
    """
    table: Record = {}
    for number, name in enumerate(groups.names):
        mine = groups.ids == number
        n = int(mine.sum())
        counts = indicators[mine].sum(axis=0).tolist()
        n_clusters = len(np.unique(clusters[mine]))
        table[name] = {
            "n": n,
            "clusters": n_clusters,
            "classes": dict(zip(classes, counts, strict=True)),
            "shares": {c: count / n if n else None for c, count in zip(classes, counts, strict=True)},
            "flags": _flags(n, n_clusters, counts, classes=classes, multi_label=multi_label),
        }
    return table


def small_cells(table: Record) -> Record:
    """By group, the classes with under 30 images and how many they have."""
    found = {name: {c: k for c, k in group["classes"].items() if k < SMALL_GROUP} for name, group in table.items()}
    return {name: cells for name, cells in found.items() if cells}


def small_groups(table: Record) -> list[str]:
    """Groups with under 30 images."""
    return [name for name, group in table.items() if group["n"] < SMALL_GROUP]


def _flags(n: int, clusters: int, counts: Sequence[int], *, classes: Sequence[str], multi_label: bool) -> list[str]:
    if not n:
        return ["small", "no_images"]
    flags = ["small"] * (n < SMALL_GROUP) + ["few_clusters"] * (clusters < MIN_CLUSTERS)
    flags += [f"no_positives:{c}" for c, count in zip(classes, counts, strict=True) if not count]
    return flags + [f"no_negatives:{c}" for c, count in zip(classes, counts, strict=True) if multi_label and count == n]
