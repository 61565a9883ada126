"""Tables whose cells are taken verbatim: ``1.0`` is not ``1`` and ``NA`` is a name."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
# (pandas and pyarrow come without complete types)

from __future__ import annotations

import csv
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from mindgap.core.errors import DataError, near_names

pc = cast("Any", pyarrow.compute)  # its functions are made when it is imported, so no stub has them all

Cells = Any
"""A ``pyarrow.ChunkedArray``: one column in a few bytes per cell, where Python strings take over fifty."""

_NAMED = 20
"""Columns that a message names at most."""


@dataclass(frozen=True, eq=False)
class TextTable:
    """Columns of one file, or of several joined.

    Attributes:
        source: what an error message calls it.
        columns: ``pyarrow.Table`` with unique names; text, or the types of a Parquet file.
    """

    source: str
    columns: Any

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns in file order."""
        return tuple(self.columns.column_names)

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.columns.num_rows)

    def text(self, name: str) -> Cells:
        """A column as text, (n,): whole numbers as ``1``, others as Python prints them, ``""`` where missing.

        Raises:
            DataError: its cells are lists or bytes.
        """
        return _as_text(self.columns.column(name), f"{self.source}: column {name!r}")

    def codes(self, name: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Numbers of the sorted names in a column, int64 (n,), -1 where it is empty; and the names."""
        cells = self.text(name)
        names = tuple(word for word in distinct(cells) if word)
        return positions(cells, names), names

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column as float64 (n,): NaN where the cell is empty or no number."""
        column = self.columns.column(name)
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_decimal(column.type):
            return _as_float(column)
        text = self.text(name).to_pandas()
        return cast("Any", pd.to_numeric(text, errors="coerce")).to_numpy(dtype=np.float64, na_value=np.nan)

    def frame(self, names: tuple[str, ...]) -> pd.DataFrame:
        """Columns as text, a missing cell being NaN."""
        columns = {name: self.text(name) for name in names}
        filled = {name: pc.if_else(pc.equal(cells, ""), None, cells) for name, cells in columns.items()}
        return pd.DataFrame({name: pd.Series(cells.to_pandas(), dtype="str") for name, cells in filled.items()})

    def rows(self, chosen: Cells) -> TextTable:
        """Some rows: a mask (n,), or row numbers."""
        picked = self.columns.filter(chosen) if pa.types.is_boolean(chosen.type) else self.columns.take(chosen)
        return replace(self, columns=picked)

    def with_column(self, name: str, cells: Cells) -> TextTable:
        """The table with one more column."""
        return replace(self, columns=self.columns.append_column(name, cells))

    def require(self, name: str, *, purpose: str) -> None:
        """Checks that a column is there; see ``require_column``."""
        require_column(name, self.names, purpose=purpose, source=self.source)


@contextmanager
def refusals(file: Path) -> Generator[None]:
    """Turns what the readers raise over a damaged file into one line.

    Raises:
        DataError: the file cannot be read or is no table.
    """
    try:
        yield
    except (pa.ArrowException, UnicodeError, csv.Error) as error:  # Arrow's failures are also OSErrors, or ValueErrors
        line = "it is not in UTF-8" if isinstance(error, UnicodeError) else " ".join(str(error).split())[:160]
        raise DataError(f"{file}: not a table ({line}); give a CSV file in UTF-8 or a Parquet file") from None
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())[:160] or type(error).__name__
        raise DataError(f"{file}: cannot read the table ({reason}); check the path") from None


def require_column(name: str, names: tuple[str, ...], *, purpose: str, source: str) -> None:
    """Checks that a column is there.

    Raises:
        DataError: it is not; the line says which name is near.
    """
    if name in names:
        return
    known = near_names(name, names)
    if len(names) > _NAMED:  # thousands of columns are no help in one line
        known = f"{known.partition('known:')[0]}known: {listed(names)}"
    raise DataError(f"{source}: no column {name!r} for the {purpose}; {known}")


def listed(names: tuple[str, ...] | list[str]) -> str:
    """The first names in words, those that hold a comma in quotes, and how many more there are."""
    more = len(names) - _NAMED
    known = [repr(name) if "," in name else name for name in names[:_NAMED]]
    return ", ".join(known) + (f" and {more} more" if more > 0 else "")


def positions(cells: Cells, names: Cells | tuple[str, ...]) -> NDArray[np.int64]:
    """int64 (n,): the position of each cell among the names, -1 where it is none of them."""
    known = pa.array(names, type=pa.string()) if isinstance(names, tuple) else names.combine_chunks()
    found = pc.index_in(cells, value_set=known)
    return np.asarray(pc.fill_null(found, -1).to_numpy(), dtype=np.int64)


def distinct(cells: Cells) -> list[str]:
    """The different words of a column, sorted, ``""`` among them if a cell is empty."""
    return sorted(pc.unique(cells).to_pylist())


def is_word(cells: Cells, word: str) -> Cells:
    """Boolean (n,): which cells are the word."""
    return pc.equal(cells, word)


def first_row(cells: Cells, value: object) -> int | None:
    """The first row whose cell is the value; None if there is none."""
    row = pc.index(cells, value=value).as_py()
    return None if row < 0 else int(row)


def repeated_word(cells: Cells) -> str | None:
    """A word that is in two cells; None if all are different."""
    if pc.count_distinct(cells).as_py() == len(cells):
        return None
    words = pd.Series(cells.to_pylist(), dtype="object")
    return str(words.to_numpy(dtype=object)[words.duplicated().to_numpy()][0])


def _as_text(column: Cells, what: str) -> Cells:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _as_text(column.cast(kind.value_type), what)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pc.fill_null(column.cast(pa.string()), "")
    if pa.types.is_integer(kind):
        return pc.fill_null(column.cast(pa.string()), "")
    if pa.types.is_floating(kind):
        numbers = _as_float(column) if kind == pa.float64() else column.to_numpy()
        words = np.where(np.isnan(numbers), "", numbers.astype(str))
        return pa.chunked_array([pa.array(words, type=pa.string())])
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise DataError(f"{what} holds {kind}, neither text nor numbers; write one word per cell")
    words = ["" if cell is None else str(cell) for cell in column.to_pylist()]
    return pa.chunked_array([pa.array(words, type=pa.string())])


def _as_float(column: Cells) -> NDArray[np.float64]:
    return np.asarray(pc.fill_null(column.cast(pa.float64(), safe=False), float("nan")).to_numpy(), dtype=np.float64)
