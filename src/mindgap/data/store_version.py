"""A new version of a store: the same images and rows, with columns and pixels that were made from them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from mindgap.core.errors import CapacityError
from mindgap.core.files import atomic_path, jsonable, write_json
from mindgap.data.attribute import AttributeSpec, usable_groups
from mindgap.data.image_store import Store
from mindgap.data.store_writer import attribute_info
from mindgap.data.table import column_of

_BLOCK = 2**24


def write_version(
    store: Store,
    folder: Path,
    *,
    columns: Mapping[str, Sequence[object]],
    attributes: Iterable[AttributeSpec],
    record: Mapping[str, Any],
    made: Collection[str],
) -> dict[str, Any]:
    """Writes what is missing of a store into a folder that holds what was made anew, ``masks.bin`` or ``twins.bin``.

    Images, and masks that are not made anew, are linked where the disk allows it and copied otherwise. The fingerprint
    is one of the old store's, the columns, and the new files.

    Args:
        store: the old version.
        folder: of the new one.
        columns: of the table, n cells each; they go over older ones of the same name.
        attributes: to add; one without two groups is left out.
        record: entries of ``store.json`` that are new or change.
        made: names of the files that were made anew; another of that name is of an earlier call, and goes.

    Returns:
        The contents of ``store.json``.

    Raises:
        CapacityError: the disk is full or cannot be written.
    """
    kept = ["images.bin", *(["masks.bin"] if store.info.masks is not None and "masks.bin" not in made else [])]
    for name in (*kept, *(["dropped.csv"] if (store.path / "dropped.csv").exists() else [])):
        _link(store.path / name, folder / name)
    table = store.table.assign(**{name: pd.Series(list(cells)) for name, cells in columns.items()})
    with atomic_path(folder / "table.parquet") as path:
        table.to_parquet(path, index=False)
    whole = store.info.model_dump(mode="json") | dict(record)
    specs = tuple(attributes)
    older = store.info.model_dump(mode="json")["attributes"]
    kept_attributes = {name: one for name, one in older.items() if name not in {spec.name for spec in specs}}
    whole["attributes"] = kept_attributes | _attributes(table, specs)
    whole["fingerprint"] = _fingerprint(store, table, list(columns), [folder / name for name in sorted(made)])
    plain = jsonable(whole)
    write_json(folder / "store.json", plain)
    return plain


def _attributes(table: pd.DataFrame, attributes: Iterable[AttributeSpec]) -> dict[str, Any]:
    splits, found = table["split"].to_numpy(dtype=object), {}
    for spec in attributes:
        grouped = spec.groups(table)
        if len(grouped.groups.names) > 1:
            usable_groups(grouped)
            found[spec.name] = attribute_info(spec, grouped, splits)
    return found


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    with suppress(OSError):
        os.link(source, target)
        return
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise CapacityError(
            f"{target}: cannot write ({error.strerror}); free space or choose another folder"
        ) from error


def _fingerprint(store: Store, table: pd.DataFrame, columns: Sequence[str], files: Sequence[Path]) -> str:
    digest = hashlib.sha256(store.fingerprint.encode())
    for name in columns:
        column = column_of(table, name)
        cells = column.astype(object).where(column.notna(), "\x00")
        digest.update(f"{name}\x1d".encode())
        digest.update("\x1f".join(map(str, cells)).encode())
    for path in files:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()[:32]
