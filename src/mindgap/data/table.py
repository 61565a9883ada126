"""Source tables as text, verbatim: only an empty cell is missing, ``NA`` and ``1.0`` are words."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mindgap.core.csv_quotes import check_quotes
from mindgap.core.errors import ConfigError, DataError, UnknownNameError, near_names

_PARQUET = b"PAR1"
_AS_TEXT: dict[str, Any] = {"dtype": str, "keep_default_na": False, "na_values": [""], "skip_blank_lines": True}


def read_table(path: Path) -> pd.DataFrame:
    """Reads a CSV file, every cell as text and an empty one as missing; empty cells beyond the header are let go.

    Raises:
        DataError: the file is missing, empty, or not a table, or a row has more filled cells than the header names.
    """
    try:
        header = pd.read_csv(path, header=None, nrows=1, encoding="utf-8-sig", **_AS_TEXT).iloc[0]
        _refuse_other_separator(path, header.tolist())
        check_quotes(path)
        table = _read_cells(path)
    except OSError as error:
        raise DataError(f"{path}: cannot read the table ({error.strerror}); check --metadata") from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: the table is empty; it needs a header and one row per image") from None
    except (pd.errors.ParserError, csv.Error, UnicodeDecodeError) as error:
        with path.open("rb") as file:
            is_parquet = file.read(len(_PARQUET)) == _PARQUET
        if is_parquet:
            raise DataError(f"{path}: is a Parquet file; save the table as UTF-8 CSV") from None
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not a CSV table ({reason}); save it as UTF-8 CSV") from None
    repeated = header.dropna()[header.dropna().duplicated()]
    if len(repeated):
        raise DataError(f"{path}: the column {repeated.iloc[0]!r} is there twice; rename one")
    return table


def _refuse_other_separator(path: Path, header: list[str]) -> None:
    if len(header) == 1 and any(mark in str(header[0]) for mark in ";\t"):
        raise DataError(f"{path}: the only column is {header[0]!r}; separate the columns with commas")


def _read_cells(path: Path) -> pd.DataFrame:
    """The table; pandas would cut off, with a warning only, what a row has more than the header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(path, encoding="utf-8-sig", index_col=False, **_AS_TEXT)
    except (pd.errors.ParserWarning, pd.errors.ParserError):
        return pd.read_csv(_without_surplus(path), index_col=False, **_AS_TEXT)


def _without_surplus(path: Path) -> io.StringIO:
    text = io.StringIO()
    writer = csv.writer(text)
    width = 0
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        for row in filter(None, reader):
            width = width or len(row)
            if any(cell.strip() for cell in row[width:]):
                raise DataError(
                    f"{path}: not a CSV table: line {reader.line_num} has {len(row)} cells under a header of {width}; "
                    "put cells that hold a comma in quotes"
                )
            writer.writerow(row[:width])
    text.seek(0)
    return text


def join_tables(tables: Sequence[tuple[Path, pd.DataFrame]], *, key: str | None) -> pd.DataFrame:
    """Stacks tables with the same columns, and joins the others on the key, rows of the first being kept.

    Raises:
        ConfigError: there is no table, or several that differ and no key to join them on.
        DataError: a joined table holds an id twice, or contradicts a column of an earlier one.
        UnknownNameError: a table has no key column.
    """
    if not tables:
        raise ConfigError("no metadata table given; name one with --metadata")
    merged = tables[0][1]
    for path, table in tables[1:]:
        merged = _stack_or_join(merged, path, table, key=key)
    return merged


def _stack_or_join(merged: pd.DataFrame, path: Path, table: pd.DataFrame, *, key: str | None) -> pd.DataFrame:
    if set(table.columns) == set(merged.columns):
        return pd.concat([merged, cast("pd.DataFrame", table[merged.columns])], ignore_index=True)
    if key is None:
        raise ConfigError(f"{path}: its columns differ from the first table's; name the id column to join on with --id")
    for side in (merged, table):
        require_column(side, key, source=str(path))
    rows = table.dropna(subset=[key])
    repeated = column_of(rows, key)[rows.duplicated(subset=[key])].tolist()
    if repeated:
        raise DataError(f"{path}: {key} {repeated[0]!r} comes twice, so it cannot be joined; keep one row each")
    if not set(column_of(rows, key)) & set(column_of(merged, key)):
        raise DataError(
            f"{path}: none of its {key} is in the tables before it ({_first(rows, key)} here, {_first(merged, key)} "
            "there); spell them alike"
        )
    common = [column for column in rows.columns if column != key and column in merged.columns]
    _refuse_contradictions(merged, rows, path, key=key, columns=common)
    return merged.merge(rows.drop(columns=common), on=key, how="left", validate="many_to_one")


def _refuse_contradictions(
    merged: pd.DataFrame, rows: pd.DataFrame, path: Path, *, key: str, columns: Sequence[str]
) -> None:
    """A column that both tables have must say the same of every id that both have, or nothing."""
    theirs = rows.set_index(key)
    known = cast("pd.DataFrame", merged[column_of(merged, key).isin(theirs.index)])
    ids = known[key].tolist()
    for column in columns:
        pairs = zip(ids, known[column].tolist(), theirs[column].reindex(ids).tolist(), strict=True)
        for name, ours, other in pairs:
            if isinstance(ours, str) and isinstance(other, str) and ours != other:
                raise DataError(
                    f"{path}: {column} of {key} {name!r} is {other!r}, and {ours!r} in a table before it; keep one, or "
                    "give them two names"
                )


def _first(table: pd.DataFrame, key: str) -> str:
    known = column_of(table, key).dropna()
    return repr(known.iloc[0]) if len(known) else "nothing"


def column_of(table: pd.DataFrame, name: str | None) -> pd.Series:
    """A column, for which the table is known to have it."""
    return cast("pd.Series", table[name])


def numbered(column: pd.Series, names: Sequence[str]) -> NDArray[np.int64]:
    """int64 (n,): the position of each cell's word among the names, -1 for a missing cell or another word."""
    return pd.Index(list(names), dtype="str").get_indexer_for(column).astype(np.int64)


def require_column(table: pd.DataFrame, column: str, *, source: str) -> None:
    """Checks that a column is there.

    Raises:
        UnknownNameError: it is not; the line names the near one.
    """
    if column not in table.columns:
        raise UnknownNameError(f"{source}: no column {column!r}; {near_names(column, map(str, table.columns))}")
