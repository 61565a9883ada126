"""CSV files: the separator is told from the header, and only the columns asked for are read."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# (pyarrow comes without complete types)

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from mindgap.core.errors import DataError
from mindgap.metrics.text_table import TextTable, refusals

HEADER_BYTES = 1 << 22
"""No header is longer; a file without a line end before that is refused and not read into memory."""

_SEPARATORS = (",", ";", "\t")
_BOM = b"\xef\xbb\xbf"
_ROWS_AT_ONCE = 1 << 14


@dataclass(frozen=True)
class CsvTable:
    """A CSV file whose header is read.

    Attributes:
        path: the file.
        names: its columns; ``""`` is one that the header leaves without a name.
        separator: what stands between the cells.
        start: bytes before the first row.
        header_lines: lines before the first row.
    """

    path: Path
    names: tuple[str, ...]
    separator: str
    start: int
    header_lines: int

    @classmethod
    def of(cls, path: Path, head: bytes, *, key: str) -> CsvTable:
        """Reads the header.

        Args:
            path: the file.
            head: its first ``HEADER_BYTES``.
            key: the separator is the first under which the header has this column, else the one that makes most
                columns.

        Raises:
            DataError: there is no header.
        """
        if b"\0" in head:
            raise DataError(f"{path}: not a table (it holds NUL bytes); give a CSV file in UTF-8 or a Parquet file")
        bom = len(_BOM) if head.startswith(_BOM) else 0
        text = head[bom:].decode("utf-8", errors="surrogateescape")
        found = [_Header.of(text, separator) for separator in _SEPARATORS]
        header = next((one for one in found if key in one.names), max(found, key=lambda one: len(one.names)))
        if header.size == len(text) and len(head) == HEADER_BYTES:
            raise DataError(f"{path}: not a table (no line end in its first {HEADER_BYTES >> 20} MiB); give a CSV file")
        if not any(header.names):
            raise DataError(f"{path}: the table has no columns; its first line must name them")
        spent = text[: header.size].encode("utf-8", errors="surrogateescape")
        for name in header.names:
            name.encode("utf-8")  # a name in another encoding
        return cls(path, header.names, header.separator, bom + len(spent), header.lines)

    def read(self, columns: Sequence[str], *, numbers: Collection[str], filled: Collection[str]) -> TextTable:
        """Reads some columns; see ``mindgap.metrics.table_file``.

        Raises:
            DataError: a row has more filled cells than the header has names, or lacks a cell of a column of ``filled``.
        """
        with refusals(self.path):
            points = (".",) if self.separator == "," else (".", ",")
            for decimal_point in points:
                try:
                    return self._read_fast(columns, numbers=numbers, decimal_point=decimal_point)
                except (pa.ArrowException, UnicodeError):
                    continue
            return self._read_row_by_row(columns, filled=filled)

    def _read_fast(self, columns: Sequence[str], *, numbers: Collection[str], decimal_point: str) -> TextTable:
        """Arrow's reader: many times faster, but every row must have all its cells and every number be one."""
        places = {name: str(place) for place, name in enumerate(self.names)}  # a name may be there twice, if empty
        with pa.OSFile(str(self.path)) as file:
            file.seek(self.start)
            read: Any = arrow_csv.read_csv(
                file,
                read_options=arrow_csv.ReadOptions(column_names=[str(place) for place in range(len(self.names))]),
                parse_options=arrow_csv.ParseOptions(delimiter=self.separator, newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={places[name]: pa.float64() if name in numbers else pa.string() for name in columns},
                    include_columns=[places[name] for name in columns],
                    strings_can_be_null=False,
                    null_values=[""],
                    decimal_point=decimal_point,
                ),
            )
        return TextTable(str(self.path), read.rename_columns(list(columns)))

    def _read_row_by_row(self, columns: Sequence[str], *, filled: Collection[str]) -> TextTable:
        """Python's reader, which says where a fault is; all columns come as text, a missing last cell is empty."""
        places = [self.names.index(name) for name in columns]
        least = max((self.names.index(name) + 1 for name in columns if name in filled), default=0)
        schema = pa.schema([(name, pa.string()) for name in columns])
        batches: list[Any] = []
        with self.path.open("rb") as file:
            file.seek(self.start)
            text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
            rows = self._rows(text, least)
            while chunk := list(islice(rows, _ROWS_AT_ONCE)):
                cells = list(zip(*chunk, strict=True))
                batches.append(pa.record_batch([pa.array(cells[place], pa.string()) for place in places], schema))
        return TextTable(str(self.path), pa.Table.from_batches(batches, schema))

    def _lines(self, text: io.TextIOWrapper) -> Generator[str]:
        while line := text.readline(HEADER_BYTES):
            if len(line) == HEADER_BYTES:
                raise DataError(f"{self.path}: not a table (a line of over {HEADER_BYTES >> 20} MiB); give a CSV file")
            yield line

    def _rows(self, text: io.TextIOWrapper, least: int) -> Generator[list[str]]:
        reader, width = csv.reader(self._lines(text), delimiter=self.separator), len(self.names)
        for row in reader:
            if not row:
                continue
            surplus = any(cell.strip() for cell in row[width:])
            if surplus or len(row) < least:
                advice = "put cells that hold a separator in quotes" if surplus else "every row needs those cells"
                line = self.header_lines + reader.line_num
                raise DataError(
                    f"{self.path}: not a table (line {line} has {len(row)} cells under a header of {width}); {advice}"
                )
            yield row[:width] + [""] * (width - len(row))


@dataclass(frozen=True)
class _Header:
    """The first row that is not blank, read with one separator.

    Attributes:
        size: characters up to its end.
        lines: lines up to its end.
    """

    separator: str
    names: tuple[str, ...]
    size: int
    lines: int

    @classmethod
    def of(cls, text: str, separator: str) -> _Header:
        lines: list[int] = []

        def counted() -> Generator[str]:
            for line in io.StringIO(text, newline=""):
                lines.append(len(line))
                yield line

        try:
            names = next((row for row in csv.reader(counted(), delimiter=separator) if row), [])
        except csv.Error:  # with another separator it may be many short names and not one long one
            names = []
        return cls(separator, tuple(names), sum(lines), len(lines))
