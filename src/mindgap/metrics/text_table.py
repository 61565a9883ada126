"""Tables whose cells are taken verbatim: ``1.0`` is not ``1`` and ``NA`` is a name."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# (pandas and pyarrow come without complete types)

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mindgap.core.errors import DataError, near_names
from mindgap.core.files import atomic_path

Column = NDArray[Any]
Table = Mapping[str, Column]

PARQUET_SUFFIXES = (".parquet", ".pq")


def read_table(path: Path | str) -> dict[str, Column]:
    """Reads a CSV or Parquet file (by suffix) into columns.

    Returns:
        The columns in file order: (n,) object arrays of text (empty where missing), or number arrays (Parquet only).

    Raises:
        DataError: the file cannot be read, or two columns have the same name.
    """
    file = Path(path)
    try:
        return _read_parquet(file) if file.suffix.lower() in PARQUET_SUFFIXES else _read_csv(file)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(f"{file}: cannot read the table ({reason}); check the path") from None
    except (ValueError, csv.Error, pd.errors.ParserWarning, pa.ArrowException) as error:
        line = " ".join(str(error).split())[:160]
        raise DataError(f"{file}: not a table ({line}); give a CSV file in UTF-8 or a Parquet file") from None


def write_columns(path: Path | str, columns: Mapping[str, Any]) -> None:
    """Writes columns of equal length as a Parquet or CSV file (by suffix), as a whole or not at all."""
    frame = pd.DataFrame(columns)
    with atomic_path(path) as temporary:
        if Path(path).suffix.lower() in PARQUET_SUFFIXES:
            frame.to_parquet(temporary, index=False)
        else:
            frame.to_csv(temporary, index=False)


def text_column(table: Table, name: str) -> Column:
    """A column as text, object (n,): whole numbers as ``1``, other numbers as Python prints them, missing as ``""``."""
    column = table[name]
    if column.dtype == object:
        return column
    text = column.astype(str).astype(object)
    if column.dtype.kind == "f":
        text[np.isnan(column)] = ""
    return text


def number_column(table: Table, name: str) -> NDArray[np.float64]:
    """A column as float64 (n,): NaN where the cell is empty or no number."""
    column = table[name]
    if column.dtype == object:
        numbers = cast("Any", pd.to_numeric(pd.Series(column, dtype="str"), errors="coerce"))
        return numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    return column.astype(np.float64)


def require_column(table: Table, name: str, *, purpose: str, source: str) -> None:
    """Checks that a column is there.

    Raises:
        DataError: it is not; the line says which name is near.
    """
    if name not in table:
        raise DataError(f"{source}: no column {name!r} for the {purpose}; {near_names(name, table)}")


def _read_csv(file: Path) -> dict[str, Column]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        header = next(csv.reader(stream), [])
    _check_header(file, header)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a row with too many cells would lose some
        frame = pd.read_csv(
            file, dtype=object, na_filter=False, encoding="utf-8-sig", header=0, names=header, index_col=False
        )
    return {name: _verbatim(frame[name].to_numpy(dtype=object)) for name in header}


def _verbatim(column: Column) -> Column:
    missing = pd.isna(column)  # a row with too few cells
    if missing.any():
        column = np.where(missing, "", column)
    return column


def _read_parquet(file: Path) -> dict[str, Column]:
    table = pq.read_table(file)
    _check_header(file, table.column_names)
    return {name: _from_arrow(table.column(name)) for name in table.column_names}


def _from_arrow(column: Any) -> Column:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        return column.to_numpy()
    if pa.types.is_integer(column.type) and column.null_count == 0:
        return column.to_numpy()
    cells = cast("list[object]", column.to_pylist())
    return np.array(["" if cell is None else str(cell) for cell in cells], dtype=object)


def _check_header(file: Path, names: list[str]) -> None:
    if not names:
        raise DataError(f"{file}: the table has no columns; its first line must name them")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{file}: column {twice[0]!r} is there twice; keep one")
