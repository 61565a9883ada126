"""Confusion of each group: which class its images are taken for, as tables shaded by the share of each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mindgap.metrics.counts import Floats, GroupCounts, count_rows, divide
from mindgap.metrics.predictions import Predictions
from mindgap.report.drawn_groups import drawn_groups, group_sizes, lowest_group, not_drawn

MOST_CLASSES = 20
SHADES = 8


@dataclass(frozen=True)
class ConfusionCell:
    """Images of one true class taken for one class: how many, their share of the row (None without images), its shade.

    ``shade`` runs from 0 (none) to 8 (all); ``right`` is the diagonal.
    """

    n: int
    share: float | None
    shade: int
    right: bool


@dataclass(frozen=True)
class ConfusionRow:
    """One true class of one group."""

    name: str
    n: int
    cells: tuple[ConfusionCell, ...]


@dataclass(frozen=True)
class ConfusionTable:
    """One group, or all images of known group."""

    title: str
    n: int
    columns: tuple[str, ...]
    rows: tuple[ConfusionRow, ...]

    @property
    def layout(self) -> str:
        """How such tables stand: three or two abreast, or one below the other."""
        classes = len(self.columns)
        return "confusions narrow" if classes <= 2 else "confusions" if classes <= 4 else "stacked"


@dataclass(frozen=True)
class ConfusionFigure:
    """The tables of one attribute; ``left_out`` and ``merged`` say in words what they do not hold apart."""

    attribute: str
    tables: list[ConfusionTable] = field(default_factory=list)
    left_out: str = ""
    merged: str = ""


def confusion_figures(predictions: Predictions, part: Mapping[str, Any]) -> list[ConfusionFigure]:
    """Per attribute a table over all images of known group, then one per drawn group.

    Args:
        predictions: what was audited.
        part: its single-label AUDIT.
    """
    figures = []
    for name, record in part.get("attributes", {}).items():
        groups = predictions.groups[name]
        counts = count_rows(
            predictions.labels, predicted=predictions.predicted, group_ids=groups.ids, groups=groups.names,
            classes=predictions.classes,
        )  # fmt: skip
        counts, merged = merge_rare_classes(counts)
        sizes = group_sizes(groups, record)
        names = drawn_groups(sizes, wanted=[lowest_group(record)])
        tables = [_table(f"All images of known {name}", counts.counts.sum(axis=0), counts.classes)]
        tables += [_table(group, counts.counts[groups.names.index(group)], counts.classes) for group in names]
        figures.append(ConfusionFigure(name, tables, not_drawn(sizes, names), merged))
    return figures


def merge_rare_classes(counts: GroupCounts, *, most: int = MOST_CLASSES) -> tuple[GroupCounts, str]:
    """The counts with the smaller classes as one where there are over ``most``, and what was done, in words.

    Args:
        counts: float64 (G, C, C).
        most: classes a table holds.
    """
    number = len(counts.classes)
    if number <= most:
        return counts, ""
    large = np.sort(np.argsort(-counts.support.sum(axis=0), kind="stable")[: most - 1])
    place = np.full(number, most - 1)
    place[large] = np.arange(most - 1)
    onto = np.zeros((most, number))
    onto[place, np.arange(number)] = 1.0
    names = (*(counts.classes[k] for k in large), f"{number - most + 1} other classes")
    said = (
        f"The {most - 1} classes with most images stand apart; the other {number - most + 1} are one row and column, "
        "in which being taken for another of them counts as right."
    )
    return GroupCounts(onto @ counts.counts @ onto.T, counts.groups, names), said


def _table(title: str, confusion: Floats, classes: tuple[str, ...]) -> ConfusionTable:
    """One group's confusion, float64 (C, C), rows by [true, predicted]."""
    support = confusion.sum(axis=1)
    shares = divide(confusion, support[:, None])
    rows = []
    for k, name in enumerate(classes):
        cells = tuple(_cell(confusion[k, j], shares[k, j], right=j == k) for j in range(len(classes)))
        rows.append(ConfusionRow(name, int(support[k]), cells))
    return ConfusionTable(title, int(support.sum()), classes, tuple(rows))


def _cell(n: float, share: float, *, right: bool) -> ConfusionCell:
    if np.isnan(share):
        return ConfusionCell(0, None, 0, right)
    return ConfusionCell(int(n), float(share), int(np.ceil(share * SHADES)), right)
