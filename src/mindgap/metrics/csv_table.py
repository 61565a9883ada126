"""CSV files: the separator is told from the header, and only the columns asked for are read."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# (pyarrow comes without complete types)

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv

from mindgap.core.csv_quotes import check_quotes
from mindgap.core.errors import DataError
from mindgap.metrics.text_table import TextTable, refusals

HEADER_BYTES = 1 << 22
"""No header is longer; a file without a line end before that is refused and not read into memory."""

_SEPARATORS = (",", ";", "\t")
_BOM = b"\xef\xbb\xbf"
_ROWS_AT_ONCE = 1 << 14
_SHOWN = 40
"""Characters of a cell that a message shows at most."""


@dataclass(frozen=True)
class CsvTable:
    """A CSV file whose header is read.

    Attributes:
        path: the file.
        names: its columns; ``""`` is one that the header leaves without a name.
        separator: what stands between the cells.
        start: bytes before the first row.
        header_lines: lines before the first row.
        key: the column that names the rows; it need not be there.
    """

    path: Path
    names: tuple[str, ...]
    separator: str
    start: int
    header_lines: int
    key: str

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
        return cls(path, header.names, header.separator, bom + len(spent), header.lines, key)

    def read(
        self,
        columns: Sequence[str],
        *,
        numbers: Collection[str],
        filled: Collection[str],
        judged: Collection[str] = (),
    ) -> TextTable:
        """Reads some columns; see ``mindgap.metrics.table_file``.

        Raises:
            DataError: a row has more filled cells than the header has names, lacks a cell of a column of ``filled``, or
                has a word in one of ``judged``. The first such row is named, and nothing after it is read.
        """
        with refusals(self.path):
            points = (".",) if self.separator == "," else (".", ",")
            for decimal_point in points:
                try:
                    table = self._read_fast(columns, numbers=numbers, decimal_point=decimal_point)
                except (pa.ArrowException, UnicodeError):
                    continue
                check_quotes(self.path, separator=self.separator)
                return table
            table = self._read_row_by_row(columns, filled=filled, judged=judged)
            check_quotes(self.path, separator=self.separator)
            return table

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

    def _read_row_by_row(
        self, columns: Sequence[str], *, filled: Collection[str], judged: Collection[str] = ()
    ) -> TextTable:
        """Python's reader, which says where a fault is; all columns come as text, a missing last cell is empty."""
        places = [self.names.index(name) for name in columns]
        least = max((self.names.index(name) + 1 for name in columns if name in filled), default=0)
        schema = pa.schema([(name, pa.string()) for name in columns])
        batches: list[Any] = []
        with self.path.open("rb") as file:
            file.seek(self.start)
            text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
            rows = self._with_numbers(self._rows(text, least), [name for name in columns if name in judged])
            while chunk := list(islice(rows, _ROWS_AT_ONCE)):
                cells = list(zip(*chunk, strict=True))
                batches.append(pa.record_batch([pa.array(cells[place], pa.string()) for place in places], schema))
        return TextTable(str(self.path), pa.Table.from_batches(batches, schema))

    def _lines(self, text: io.TextIOWrapper) -> Generator[str]:
        while line := text.readline(HEADER_BYTES):
            if len(line) == HEADER_BYTES:
                raise DataError(f"{self.path}: not a table (a line of over {HEADER_BYTES >> 20} MiB); give a CSV file")
            yield line

    def _with_numbers(self, rows: Iterable[list[str]], judged: Sequence[str]) -> Generator[list[str]]:
        places = [(self.names.index(name), name) for name in judged]
        for number, row in enumerate(rows, start=1):
            for place, name in places:
                if not _is_number(row[place]):
                    self._refuse_word(number, row, name=name, cell=row[place])
            yield row

    def _refuse_word(self, number: int, row: list[str], *, name: str, cell: str) -> None:
        key = row[self.names.index(self.key)] if self.key in self.names else ""
        for word in (key, cell):
            word.encode("utf-8")  # another encoding is the fault to name first
        who = f"id {key[:_SHOWN]!r}" if key else f"row {number}"
        raise DataError(
            f"{self.path}: {who}: {name} is empty or no number; probabilities must lie in [0, 1], not {cell[:_SHOWN]!r}"
        )

    def _rows(self, text: io.TextIOWrapper, least: int) -> Generator[list[str]]:
        reader, width = csv.reader(self._lines(text), delimiter=self.separator), len(self.names)
        while True:
            first = self.header_lines + reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error:
                raise DataError(
                    f"{self.path}: not a table (line {first} begins a cell of over {csv.field_size_limit()} "
                    "characters); close its quotes"
                ) from None
            if row is None:
                return
            if not row:
                continue
            surplus = any(cell.strip() for cell in row[width:])
            if surplus or len(row) < least:
                last = self.header_lines + reader.line_num
                self._refuse_row(len(row), first, last=last, surplus=surplus)
            yield row[:width] + [""] * (width - len(row))

    def _refuse_row(self, cells: int, first: int, *, last: int, surplus: bool) -> None:
        advice = "put cells that hold a separator in quotes" if surplus else "every row needs those cells"
        where = f"line {last} has"
        if last > first:  # a row goes over a line end in quotes only
            advice, where = "close its quotes", f"lines {first} to {last} are one row of"
        raise DataError(
            f"{self.path}: not a table ({where} {cells} cells under a header of {len(self.names)}); {advice}"
        )


def _is_number(cell: str) -> bool:
    """Whether a column that holds the cell has a number there, as ``TextTable.numbers`` takes it."""
    try:
        return not math.isnan(float(cell))
    except ValueError:
        found = cast("Any", pd.to_numeric(pd.Series([cell], dtype="str"), errors="coerce"))
        return bool(found.notna().all())


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
