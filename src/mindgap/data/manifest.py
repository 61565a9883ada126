"""From source tables to checked rows: columns resolved, words mapped, faulty rows set aside with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import pandas as pd

from mindgap.core.errors import ConfigError, DataError, UnknownNameError
from mindgap.data.column_names import columns_instead
from mindgap.data.table import column_of, require_column

YES_NO: dict[str, str] = {"1": "1", "1.0": "1", "true": "1", "0": "0", "0.0": "0", "false": "0"}
MINUS_ONE = frozenset({"-1", "-1.0"})


@dataclass(frozen=True)
class Manifest:
    """The columns and words of a data set, after ``renames``.

    Attributes:
        id: column of image names, with or without folder and suffix; None if the user must name it.
        label: column of the class, for a single-label task.
        labels: columns of 0/1, true/false or -1/1 labels, for a multi-label task.
        one_hot: columns of which exactly one is 1; they are folded into the column ``label``.
        classes: the words the label may be; None allows any.
        cluster: column of what must stay in one split, such as a patient or a lesion.
        split: column that says which split a row is in; None draws it.
        attributes: columns that are usable as sensitive attributes.
        renames: source column → column, applied where the source column is there.
        values: column → (source word → word).
        missing: words that mean an empty cell, in every column but the id.
        mask_endings: what may follow the image's name in the name of its mask.
        upright: the images have an up and a down, as faces do, so training must not turn them.
    """

    id: str | None = None
    label: str | None = None
    labels: tuple[str, ...] = ()
    one_hot: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    cluster: str | None = None
    split: str | None = None
    attributes: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    mask_endings: tuple[str, ...] = ("", "_segmentation", "_mask")
    upright: bool = False

    def with_columns(
        self,
        *,
        id: str | None,  # noqa: A002
        label: str | None,
        labels: tuple[str, ...],
        cluster: str | None,
        split: str | None = None,
    ) -> Manifest:
        """The manifest with the user's columns in place of the preset's.

        Raises:
            ConfigError: no id column, or neither or both of label and labels are named.
        """
        if label and labels:
            raise ConfigError(f"label={label!r} and labels={','.join(labels)!r}: give one of --label and --labels")
        if len(set(labels)) < len(labels):
            raise ConfigError(f"labels={','.join(labels)!r} names a label twice; name each once")
        chosen = replace(self, id=id or self.id, cluster=cluster or self.cluster, split=split or self.split)
        if label or labels:
            same = label == self.label
            chosen = replace(
                chosen,
                label=label,
                labels=labels,
                classes=self.classes if same else None,
                one_hot=self.one_hot if same else (),
            )
        if chosen.id is None:
            raise ConfigError("no id column is named; name the column of image names with --id, or a --preset")
        if chosen.label is None and not chosen.labels:
            raise ConfigError("no label column is named; name it with --label, several 0/1 columns with --labels")
        return chosen


@dataclass(frozen=True)
class Rows:
    """Checked rows.

    Attributes:
        table: the rows that may be used, in source order, every cell text; ``id`` is the id column.
        dropped: columns ``id`` and ``reason`` of the others.
    """

    table: pd.DataFrame
    dropped: pd.DataFrame

    @property
    def total(self) -> int:
        """Rows of the source."""
        return len(self.table) + len(self.dropped)


def apply_words(table: pd.DataFrame, manifest: Manifest) -> pd.DataFrame:
    """Folds one-hot columns into the label and maps the source's words, those for missing included.

    Raises:
        UnknownNameError: the label, id, cluster or split column, or a one-hot column, is not there.
    """
    table = table.copy()
    if manifest.one_hot:
        table = _fold_one_hot(table, manifest)
    for column in (manifest.id, manifest.label, manifest.cluster, manifest.split):
        if column is not None:
            require_column(table, column, source="metadata")
    for column in manifest.labels:
        if column not in table.columns:
            instead = columns_instead(column, list(map(str, table.columns)), marks=",")
            raise UnknownNameError(f"metadata: no column {column!r}; {instead}")
    for column in table.columns:
        words = dict(manifest.values.get(str(column), {}))
        if column != manifest.id:
            words |= dict.fromkeys(manifest.missing)
        if words:
            table[column] = table[column].map(lambda word, words=words: words.get(word, word)).astype("str")
    return table


def check_rows(table: pd.DataFrame, manifest: Manifest) -> Rows:
    """Sets aside rows whose label or split is not known or whose id came before; the first usable row of an id stays.

    Raises:
        DataError: a column of 0/1 labels holds other words only, or beside them only one of 0 and 1.
    """
    _refuse_words(table, manifest)
    reasons = pd.Series(pd.NA, index=table.index, dtype="object")
    if manifest.split:
        cells = column_of(table, manifest.split)
        reasons[cells.isna() | (cells.str.strip() == "")] = "no_split"
    reasons[~_label_known(table, manifest)] = "unknown_label"
    reasons[table[manifest.id].isna()] = "missing_file"
    usable = cast("pd.Series", column_of(table, manifest.id)[reasons.isna()])
    reasons[usable.index[usable.duplicated().to_numpy(dtype=np.bool_)]] = "duplicate_id"
    return set_aside(table, manifest, reasons)


def set_aside(table: pd.DataFrame, manifest: Manifest, reasons: pd.Series) -> Rows:
    """Splits a table into the rows without a reason and those with one."""
    faulty = reasons.notna()
    dropped = pd.DataFrame({"id": table.loc[faulty, manifest.id].fillna(""), "reason": reasons[faulty].astype("str")})
    kept = cast("pd.DataFrame", table[~faulty])
    return Rows(kept.reset_index(drop=True), dropped.reset_index(drop=True))


def _fold_one_hot(table: pd.DataFrame, manifest: Manifest) -> pd.DataFrame:
    for column in manifest.one_hot:
        require_column(table, column, source="metadata")
    hot = np.stack([_binary(column_of(table, column)) == "1" for column in manifest.one_hot], axis=1)
    words = np.array(manifest.one_hot, dtype=object)[hot.argmax(axis=1)]
    words[hot.sum(axis=1) != 1] = None
    table = table.drop(columns=list(manifest.one_hot))
    table[manifest.label] = pd.Series(words, index=table.index, dtype="str")
    return table


def _refuse_words(table: pd.DataFrame, manifest: Manifest) -> None:
    for label in manifest.labels:
        filled = column_of(table, label).dropna()
        read = _binary(filled)
        others, seen = filled[read.isna()].tolist(), sorted(set(read.dropna()))
        if len(others) and len(seen) < 2:
            beside, never = (f" beside {seen[0]}", {"0": "1", "1": "0"}[seen[0]]) if seen else ("", "0 or 1")
            raise DataError(
                f"label column {label!r} holds {others[0]!r}{beside}, never {never}; --labels takes columns of "
                "0/1, true/false or -1/1, --label one column of class names"
            )


def _label_known(table: pd.DataFrame, manifest: Manifest) -> pd.Series:
    if manifest.labels:
        known = [_binary(column_of(table, label)).notna().to_numpy() for label in manifest.labels]
        return pd.Series(np.logical_and.reduce(known), index=table.index)
    labels = column_of(table, manifest.label)
    return labels.notna() if manifest.classes is None else labels.isin(manifest.classes)


def binary_labels(table: pd.DataFrame, labels: tuple[str, ...]) -> np.ndarray:
    """uint8 (n, L): the 0/1 labels of checked rows."""
    return np.stack([(_binary(column_of(table, label)) == "1").to_numpy() for label in labels], axis=1).astype(np.uint8)


def minus_one_labels(table: pd.DataFrame, manifest: Manifest) -> tuple[str, ...]:
    """The labels whose -1 is read as 0: those with a -1 and no 0."""
    return tuple(label for label in manifest.labels if _says_minus_one(column_of(table, label)))


def _says_minus_one(column: pd.Series) -> bool:
    """No is written -1. Beside a 0 a -1 means something else, such as *uncertain* in chest X-ray tables."""
    words = column.dropna().str.lower()
    return bool(words.isin(MINUS_ONE).any()) and not bool((words.map(YES_NO) == "0").any())


def _binary(column: pd.Series) -> pd.Series:
    """``1``, ``0``, or missing where the word is neither."""
    words = YES_NO | dict.fromkeys(MINUS_ONE, "0") if _says_minus_one(column) else YES_NO
    return column.str.lower().map(words)
