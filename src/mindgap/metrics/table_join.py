"""Columns of other tables, such as a data set's metadata, beside predictions: matched by id, row by row."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# (pyarrow comes without complete types)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from mindgap.core.errors import DataError
from mindgap.metrics.table_file import RenamedTable, TableFile, open_table
from mindgap.metrics.text_table import Cells, TextTable, first_row, positions, repeated_word, require_column

pc = cast("Any", pyarrow.compute)
_IMAGE_SUFFIX = r"(?i)\.(jpe?g|png|bmp|tiff?|webp|gif)$"


@dataclass(frozen=True)
class SideTable:
    """One or more files of the same columns, read as one table below the other.

    Attributes:
        source: what an error message calls it.
        names: its columns.
    """

    source: str
    names: tuple[str, ...]
    files: tuple[TableFile, ...]
    key: str

    def renamed(self, names: Mapping[str, str]) -> SideTable:
        """The same rows, some columns going by other names: its own name → the name it goes by."""
        files = tuple(RenamedTable(file, names) for file in self.files)
        mine = tuple(names.get(name, name) for name in self.names)
        return replace(self, names=mine, files=files, key=names.get(self.key, self.key))

    def read(self, columns: Sequence[str]) -> TextTable:
        """The rows that have an id, the columns and the key being text.

        Raises:
            DataError: an id is there twice, or a file is damaged.
        """
        wanted = list(dict.fromkeys([self.key, *columns]))
        parts = [file.read(wanted, numbers=(), filled=(self.key,)) for file in self.files]
        cells = {
            name: pa.chunked_array([c for part in parts for c in part.text(name).chunks], pa.string())
            for name in wanted
        }
        table = TextTable(self.source, pa.table(cells))
        table = table.rows(pc.not_equal(table.text(self.key), ""))
        if (twice := repeated_word(table.text(self.key))) is not None:
            raise DataError(f"{self.source}: {self.key} {twice!r} is there more than once; keep one row per id")
        return table


def open_side_tables(paths: Sequence[Path | str], *, key: str) -> list[SideTable]:
    """Opens the tables; files with the same columns are stacked.

    Raises:
        DataError: a file is no table or has no column of that name.
    """
    files: dict[frozenset[str], list[tuple[str, TableFile]]] = {}
    for path in paths:
        file = open_table(path, key=key)
        require_column(key, file.names, purpose="ids (--id)", source=str(path))
        files.setdefault(frozenset(file.names), []).append((str(path), file))
    return [
        SideTable(same[0][0], tuple(filter(None, same[0][1].names)), tuple(file for _, file in same), key)
        for same in files.values()
    ]


def join(table: TextTable, side: SideTable, columns: Mapping[str, str]) -> TextTable:
    """The table with columns of another; rows of the other that no id names are left out.

    Args:
        table: its column ``id`` says which row of the other belongs to each.
        side: the other.
        columns: name in the result → name in the other. One that both have stays the table's own.

    Raises:
        DataError: an id has no row in the other, or both have a column and differ.
    """
    other = side.read(list(columns.values()))
    rows = _rows_of(table, other, side)
    for name, theirs in columns.items():
        cells = other.text(theirs).take(pa.array(rows))
        if name in table.names:
            _refuse_other_words(table, name, other=(side.source, theirs, cells))
        else:
            table = table.with_column(name, cells)
    return table


def _rows_of(table: TextTable, other: TextTable, side: SideTable) -> NDArray[np.int64]:
    """int64 (n,): for each id the row of the other table; ``a.jpg`` and ``a`` are one image if no other is ``a``."""
    ids, keys = table.text("id"), other.text(side.key)
    rows = positions(ids, keys)
    if (rows < 0).any():
        rows = np.where(rows < 0, _rows_without_suffix(ids, keys), rows)
    missing = np.flatnonzero(rows < 0)
    if missing.size:
        first = ids[int(missing[0])].as_py()
        there = f"ids there are such as {keys[0].as_py()!r}" if len(keys) else "there are no ids there"
        raise DataError(
            f"{side.source}: {missing.size} of {table.n} predictions have no row there, the first is id {first!r}; "
            f"{there}"
        )
    _refuse_shared_row(ids, rows, keys, side)
    return rows


def _rows_without_suffix(ids: Cells, keys: Cells) -> NDArray[np.int64]:
    """int64 (n,): the row whose key is the id but for their suffixes; -1 if there is none, or more than one."""
    stems, bare = (pc.replace_substring_regex(cells, pattern=_IMAGE_SUFFIX, replacement="") for cells in (ids, keys))
    first = positions(bare, bare)
    several = first[first != np.arange(len(first))]
    rows = positions(stems, bare)
    return np.where(np.isin(rows, several), -1, rows)


def _refuse_shared_row(ids: Cells, rows: NDArray[np.int64], keys: Cells, side: SideTable) -> None:
    """``a.jpg`` and ``a.png`` are two images: one row ``a`` cannot say what both show."""
    _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    firsts = ids.take(pa.array(first[inverse]))
    clash = first_row(pc.not_equal(firsts, ids), value=True)
    if clash is not None:
        raise DataError(
            f"{side.source}: predictions {firsts[clash].as_py()!r} and {ids[clash].as_py()!r} would both take the row "
            f"of {side.key} {keys[int(rows[clash])].as_py()!r}; write the file names with suffix there"
        )


def _refuse_other_words(table: TextTable, name: str, *, other: tuple[str, str, Cells]) -> None:
    source, theirs, cells = other
    own = table.text(name)
    row = first_row(pc.not_equal(own, cells), value=True)
    if row is not None:
        who = table.text("id")[row].as_py()
        raise DataError(
            f"{table.source}: id {who!r}: {name} is {own[row].as_py()!r}, but {theirs} is {cells[row].as_py()!r} in "
            f"{source}; mend one, or take the column out of one"
        )
