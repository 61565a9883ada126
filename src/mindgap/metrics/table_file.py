"""Tables on disk: what kind of file it is and which columns it has, before anything large is read."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# (pyarrow comes without complete types)

from __future__ import annotations

import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pyarrow.parquet as pq

from mindgap.core.errors import DataError
from mindgap.metrics.csv_table import HEADER_BYTES, CsvTable
from mindgap.metrics.text_table import TextTable, refusals

PARQUET_SUFFIXES = (".parquet", ".pq")
_PARQUET = b"PAR1"
_OTHERS = {
    b"\x1f\x8b": "compressed by gzip; unpack it first",
    b"PK\x03\x04": "a ZIP archive, as Excel workbooks are; unpack it or save the sheet as CSV UTF-8",
    b"BZh": "compressed by bzip2; unpack it first",
    b"\xfd7zXZ": "compressed by xz; unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it first",
    b"\xff\xfe": "in UTF-16; save it as CSV UTF-8",
    b"\xfe\xff": "in UTF-16; save it as CSV UTF-8",
}


class TableFile(Protocol):
    """A file whose columns are known and whose rows are not read yet."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns in file order."""
        ...

    def read(
        self,
        columns: Sequence[str],
        *,
        numbers: Collection[str],
        filled: Collection[str],
        judged: Collection[str] = (),
    ) -> TextTable:
        """Reads some columns.

        Args:
            columns: which, in the order wanted.
            numbers: those of them that should be numbers.
            filled: those in which no row may lack a cell.
            judged: those of ``numbers``, probabilities, in which a cell that is none may be refused while reading,
                as every row will be judged.

        Raises:
            DataError: the file is damaged.
        """
        ...


class ParquetTable:
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = pq.ParquetFile(path)
        self.names: tuple[str, ...] = tuple(self._file.schema_arrow.names)

    def read(
        self,
        columns: Sequence[str],
        *,
        numbers: Collection[str],
        filled: Collection[str],
        judged: Collection[str] = (),
    ) -> TextTable:
        """Reads some columns; see ``TableFile``. A Parquet file knows its own numbers, and no row is short."""
        del numbers, filled, judged
        with refusals(self._path):
            return TextTable(str(self._path), self._file.read(columns=list(columns)).select(list(columns)))


class RenamedTable:
    """A table some of whose columns go by other names; a column that had such a name is hidden.

    Args:
        file: the table.
        names: its own name → the name it goes by.
    """

    def __init__(self, file: TableFile, names: Mapping[str, str]) -> None:
        self._file = file
        taken = set(names.values())
        self._own = {names.get(own, own): own for own in file.names if own in names or own not in taken}
        self.names: tuple[str, ...] = tuple(self._own)

    def read(
        self,
        columns: Sequence[str],
        *,
        numbers: Collection[str],
        filled: Collection[str],
        judged: Collection[str] = (),
    ) -> TextTable:
        """Reads some columns; see ``TableFile``."""
        kinds = {"numbers": numbers, "filled": filled, "judged": judged}
        own = {kind: frozenset(self._own[name] for name in chosen) for kind, chosen in kinds.items()}
        table = self._file.read([self._own[name] for name in columns], **own)
        return replace(table, columns=table.columns.rename_columns(list(columns)))


def open_table(path: Path | str, *, key: str = "id") -> TableFile:
    """Opens a table: Parquet by its first bytes, else text with columns apart by comma, semicolon or tab.

    Args:
        path: the file.
        key: a column it should have, by which the separator is told.

    Raises:
        DataError: the file cannot be read, is no table, or two columns have the same name.
    """
    file = Path(path)
    with refusals(file):
        if not stat.S_ISREG(file.stat().st_mode):
            raise DataError(f"{file}: {'a folder' if file.is_dir() else 'no ordinary file'}, not a table; give a file")
        with file.open("rb") as stream:
            head = stream.read(HEADER_BYTES)
        table = _of_kind(file, head, key)
    twice = sorted({name for name in table.names if name and table.names.count(name) > 1})
    if twice:
        raise DataError(f"{file}: column {twice[0]!r} is there twice; keep one")
    return table


def _of_kind(file: Path, head: bytes, key: str) -> TableFile:
    if head.startswith(_PARQUET):
        return ParquetTable(file)
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise DataError(f"{file}: is {what}")
    if file.suffix.lower() in PARQUET_SUFFIXES:
        raise DataError(f"{file}: not a table (a Parquet file begins with PAR1); give a CSV or a Parquet file")
    return CsvTable.of(file, head, key=key)
