"""Writing a store's table, its list of dropped rows and ``store.json`` beside the finished image map."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mindgap.core.errors import ConfigError, DataError
from mindgap.core.files import atomic_path, jsonable, write_json
from mindgap.core.groups import refuse_alike_but_for_blanks
from mindgap.data.attribute import AttributeSpec, Grouped, usable_groups
from mindgap.data.image_store import VERSION, AttributeInfo, GroupInfo
from mindgap.data.manifest import Manifest, Rows, binary_labels
from mindgap.data.split import SPLITS
from mindgap.data.table import column_of, numbered

_RESERVED = ("id", "label", "split", "cluster", "has_mask")


@dataclass(frozen=True)
class Labels:
    """The labels of checked rows: int64 (n,) class numbers, or uint8 (n, L) of 0/1, and the names."""

    task: str
    names: tuple[str, ...]
    values: NDArray[np.int64] | NDArray[np.uint8]


def read_labels(table: pd.DataFrame, manifest: Manifest) -> Labels:
    """Numbers the labels; classes are sorted by name.

    Raises:
        DataError: there is one class only, a label that is always the same, or classes that differ by blanks only.
    """
    if manifest.labels:
        values = binary_labels(table, manifest.labels)
        for name, column in zip(manifest.labels, values.T, strict=True):
            if column.min() == column.max():
                raise DataError(f"label {name!r} is {column[0]} in every row, one class only; leave it out of --labels")
        return Labels("multi-label", manifest.labels, values)
    column = column_of(table, manifest.label)
    names = sorted(set(column))
    refuse_alike_but_for_blanks(names, column=f"column {manifest.label!r}")
    if len(names) < 2:
        raise DataError(f"column {manifest.label!r} holds one class only, {names[0]!r}; a classifier needs two")
    return Labels("single-label", tuple(names), numbered(column, names))


def refuse_ragged_clusters(table: pd.DataFrame, manifest: Manifest) -> None:
    """Checks that no patient or lesion is written in two ways, as it could then lie in two splits.

    Raises:
        DataError: two clusters differ by outer blanks only.
    """
    if manifest.cluster:
        names = column_of(table, manifest.cluster).dropna().unique()
        refuse_alike_but_for_blanks(map(str, names), column=f"column {manifest.cluster!r}")


def read_attributes(table: pd.DataFrame, specs: Sequence[AttributeSpec]) -> dict[str, Grouped]:
    """Groups of every attribute.

    Raises:
        ConfigError: an attribute's name is one the store's table needs itself.
        DataError: an attribute has fewer than two groups, or values that differ by outer blanks only.
        UnknownNameError: a column is not there.
    """
    for spec in specs:
        if spec.name in _RESERVED or spec.name.startswith(("label_", "meta_")):
            raise ConfigError(f"attribute {spec.name!r}: the store's table needs this name itself; rename the column")
    attributes = {spec.name: spec.groups(table) for spec in specs}
    for grouped in attributes.values():
        usable_groups(grouped)
    return attributes


def store_table(
    table: pd.DataFrame,
    manifest: Manifest,
    *,
    labels: Labels,
    attributes: Mapping[str, Grouped],
    specs: Sequence[AttributeSpec],
    splits: NDArray[np.object_],
    masked: NDArray[np.bool_] | None,
) -> pd.DataFrame:
    """The store's table: id, label columns, split, cluster, attributes, then the source's columns as ``meta_*``."""
    columns: dict[str, Any] = {"id": table[manifest.id]}
    if labels.task == "multi-label":
        columns |= {f"label_{name}": labels.values[:, i] for i, name in enumerate(labels.names)}
    else:
        columns["label"] = table[manifest.label]
    columns["split"] = pd.Series(splits, dtype="str")
    columns["cluster"] = table[manifest.cluster] if manifest.cluster else pd.Series([None] * len(table), dtype="str")
    columns |= {name: _group_names(grouped) for name, grouped in attributes.items()}
    if masked is not None:
        columns["has_mask"] = masked
    whole = {spec.name for spec in specs if len(spec.factors) == 1 and spec.spec == spec.name}
    used = {manifest.id, manifest.label, manifest.cluster, manifest.split, *manifest.labels, *whole}
    columns |= {f"meta_{name}": table[name] for name in table.columns if name not in used}
    return pd.DataFrame(columns)


def write_store(
    folder: Path, table: pd.DataFrame, *, rows: Rows, digests: NDArray[np.uint64], record: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes ``table.parquet``, ``dropped.csv`` and ``store.json``; returns the last.

    Raises:
        CapacityError: the disk is full or cannot be written.
    """
    with atomic_path(folder / "table.parquet") as path:
        table.to_parquet(path, index=False)
    with atomic_path(folder / "dropped.csv") as path:
        rows.dropped.to_csv(path, index=False)
    dropped = rows.dropped["reason"].value_counts().to_dict()
    known = [column for column in table.columns if not column.startswith("meta_")]
    whole = {
        "version": VERSION,
        "n": len(table),
        "fingerprint": _fingerprint(cast("pd.DataFrame", table[known]), digests),
        "dropped": dict(sorted(dropped.items())),
        **record,
    }
    plain = jsonable(whole)
    write_json(folder / "store.json", plain)
    return plain


def attribute_info(spec: AttributeSpec, grouped: Grouped, splits: NDArray[np.object_]) -> dict[str, Any]:
    """The attribute's entry of ``store.json``."""
    groups = grouped.groups
    entries: list[GroupInfo] = []
    for number, name in enumerate(groups.names):
        where = splits[groups.ids == number]
        counts = {split: int((where == split).sum()) for split in SPLITS}
        flags = ["single_image"] * (len(where) == 1)
        flags += [f"not_in_{split}" for split, count in counts.items() if not count]
        entries.append(GroupInfo(name=name, n=len(where), flags=tuple(flags), **counts))
    info = AttributeInfo(
        spec=spec.spec,
        groups=tuple(entries),
        unknown=int((~groups.known).sum()),
        out_of_range=grouped.out_of_range,
        empty_groups=grouped.empty,
    )
    return info.model_dump()


def split_info(
    labels: Labels, splits: NDArray[np.object_], *, shares: Sequence[float], given: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The split's entry of ``store.json``: shares asked for, rows per split, and rows (positives) of each class.

    Of a split that a column gave, ``given`` says which and what of it was drawn, and the shares are those of its rows.
    """
    per_class: dict[str, dict[str, int]] = {}
    for number, name in enumerate(labels.names):
        mine = labels.values[:, number] == 1 if labels.values.ndim == 2 else labels.values == number
        per_class[name] = {split: int((mine & (splits == split)).sum()) for split in SPLITS}
    counts = {split: int((splits == split).sum()) for split in SPLITS}
    if given:
        shares = [counts[split] / len(splits) for split in SPLITS]
    return dict(given or {}) | {
        "shares": dict(zip(SPLITS, shares, strict=True)),
        "counts": counts,
        "classes": per_class,
    }


def _group_names(grouped: Grouped) -> pd.Series:
    names = np.array([*grouped.groups.names, None], dtype=object)
    return pd.Series(names[grouped.groups.ids], dtype="str")


def _fingerprint(table: pd.DataFrame, digests: NDArray[np.uint64]) -> str:
    digest = hashlib.sha256()
    for name in table.columns:
        digest.update(f"{name}\x1d".encode())
        cells = table[name].astype(object).where(table[name].notna(), "\x00")
        digest.update("\x1f".join(map(str, cells)).encode())
    digest.update(np.ascontiguousarray(digests).tobytes())
    return digest.hexdigest()[:32]
