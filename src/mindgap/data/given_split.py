"""Splits that the user's table gives, as published data sets do: read, checked, and completed by a validation split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mindgap.core.errors import DataError
from mindgap.core.groups import Groups
from mindgap.data.split import SPLITS, cluster_disjoint_split, cluster_numbers

_WORDS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
_NUMBERS = {number + zero: split for number, split in zip("012", SPLITS, strict=True) for zero in ("", ".0")}
"""As CelebA's ``list_eval_partition`` and the tables of WILDS number them; pandas writes 0.0 beside an empty cell."""


@dataclass(frozen=True)
class GivenSplit:
    """The split of every row, and what is to be told of it.

    Attributes:
        parts: object (n,) of ``train``, ``validation`` or ``test``.
        notes: lines to print and to keep.
        drawn: whether the validation split is not the column's.
    """

    parts: NDArray[np.object_]
    notes: tuple[str, ...] = ()
    drawn: bool = False


def split_words(column: pd.Series) -> pd.Series:
    """``train``, ``validation`` or ``test`` for each cell of a column, whatever case it is written in.

    Words are train and training, validation, valid, val and dev, test and testing; 0, 1 and 2 where all cells are, and
    there is a 2, without which 1 could mean either.

    Raises:
        DataError: a cell, not an empty one, holds something else.
    """
    words = column.str.strip().str.lower()
    known = _NUMBERS if has_numbers(column) else _WORDS
    strange = words.notna() & ~words.isin(list(known))
    if strange.any():
        seen = str(column.to_numpy(dtype=object)[strange.to_numpy(dtype=np.bool_)][0])
        raise DataError(
            f"column {column.name!r} holds {seen!r}; a split is train, validation (or val, valid, dev) or test, "
            "or 0, 1 and 2 in all rows, of which 2 is test"
        )
    return words.map(known)


def has_numbers(column: pd.Series) -> bool:
    """Whether a column's splits are numbers."""
    filled = column.str.strip().dropna()
    return bool(filled.isin(list(_NUMBERS)).all() and (filled.map(_NUMBERS) == "test").any())


def given_split(
    column: pd.Series,
    *,
    labels: NDArray[np.int64] | NDArray[np.uint8],
    classes: Sequence[str],
    groups: Sequence[Groups],
    clusters: pd.Series,
    shares: Sequence[float],
    seed: int,
) -> GivenSplit:
    """The split that a column gives; where it has no validation, that is drawn from its training rows.

    Args:
        column: of the split, without empty cells.
        labels: int64 (n,) classes or uint8 (n, L) 0/1 labels.
        classes: their names.
        groups: attributes that a drawn validation split is stratified by.
        clusters: names of what must stay in one split; a missing one is alone.
        shares: of train, validation and test: a drawn validation split takes the first two's ratio, none if it is 0.
        seed: of what is drawn.

    Raises:
        DataError: a cluster lies in two splits; there is no row to train with, or one of a class or a group; or no
            validation split can be drawn.
    """
    parts, notes, named = split_words(column).to_numpy(dtype=object), [], f"column {column.name!r}"
    if has_numbers(column):
        notes.append(f"{named} is read as 0 train, 1 validation, 2 test")
    numbers = cluster_numbers(clusters)
    _refuse_spanning(parts, numbers, clusters, column=named)
    if not (parts == "train").any():
        raise DataError(f"{named} has no row for training; it holds {', '.join(sorted(set(parts)))}")
    drawn = shares[1] > 0 and not (parts == "validation").any()
    if drawn:
        _draw_validation(parts, labels, groups, clusters=numbers, shares=shares, seed=seed)
        if not (parts == "validation").any():
            raise DataError(f"{named} has no validation rows, and its training rows are too few to draw some from")
        share = (parts == "validation").sum() / (parts != "test").sum()
        notes.append(f"{named} has no validation rows: {share:.0%} of its training rows became that")
    if not (parts == "test").any():
        notes.append(f"{named} has no test rows: every figure will be of images that took part in choices")
    _refuse_untrained(parts, labels, classes, groups, column=named)
    return GivenSplit(parts, tuple(notes), drawn)


def _refuse_spanning(
    parts: NDArray[np.object_], numbers: NDArray[np.int64], clusters: pd.Series, *, column: str
) -> None:
    several = pd.Series(parts).groupby(numbers).transform("nunique").to_numpy() > 1
    if several.any():
        first = clusters.to_numpy(dtype=object)[several][0]
        found = len(set(numbers[several]))
        raise DataError(
            f"{column}: {found} {'value' if found == 1 else 'values'} of {clusters.name!r}, such as {first!r}, "
            f"{'is' if found == 1 else 'are'} in several splits, so that what is learned by heart is tested; mend it"
        )


def _refuse_untrained(
    parts: NDArray[np.object_],
    labels: NDArray[np.int64] | NDArray[np.uint8],
    classes: Sequence[str],
    groups: Sequence[Groups],
    *,
    column: str,
) -> None:
    """Every class, both answers to a label, and every group must be in train, as where the split is drawn here."""
    train = parts == "train"
    for number, name in enumerate(classes):
        if labels.ndim == 1 and not (labels[train] == number).any():
            raise DataError(f"{column} leaves no training image of class {name!r}; a network cannot learn it")
        if labels.ndim == 2 and len(seen := set(labels[train, number].tolist())) < 2:
            answer = f"label {name!r} at {seen.pop()} in every training row"
            raise DataError(f"{column} leaves {answer}; leave the label out of --labels")
    for attribute in groups:
        for number, name in enumerate(attribute.names):
            if not (attribute.ids[train] == number).any():
                raise DataError(
                    f"{column} leaves no training image of {attribute.attribute}={name}; take wider groups, or leave "
                    "--split-column out"
                )


def _draw_validation(
    parts: NDArray[np.object_],
    labels: NDArray[np.int64] | NDArray[np.uint8],
    groups: Sequence[Groups],
    *,
    clusters: NDArray[np.int64],
    shares: Sequence[float],
    seed: int,
) -> None:
    """Turns some training clusters, in place, into validation."""
    rows = np.flatnonzero(parts == "train")
    whole = shares[0] + shares[1]
    parts[rows] = cluster_disjoint_split(
        labels[rows],
        [attribute.take(rows) for attribute in groups],
        clusters=clusters[rows],
        shares=(shares[0] / whole, shares[1] / whole, 0.0),
        seed=seed,
    )
