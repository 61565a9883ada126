"""Quotes that are opened in a CSV file and close in another row, which would swallow the rows between."""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from mindgap.core.errors import DataError

_CHUNK = 1 << 20
_LONGEST = 2**31 - 1


def check_quotes(path: Path, *, separator: str = ",") -> None:
    """Refuses a table in which a quoted cell goes over a line end and is then not closed as it must be.

    Readers take such a cell for a long one, so that the rows it runs over are gone without a word. Within one line an
    odd quote swallows nothing and is let be, and so is a cell of several lines that is closed before a separator.

    Args:
        path: the file, in UTF-8.
        separator: what stands between the cells.

    Raises:
        DataError: the line in which the cell begins.
        OSError: the file cannot be read.
    """
    if not _has_quotes(path):
        return
    with path.open("rb") as file, _any_length():
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        for first, last in _odd_rows(text, separator):
            if last > first:
                raise DataError(
                    f"{path}: a quote that line {first} opens is not closed before other text or the end (line {last})"
                    "; close it there, or double it where it stands for itself"
                )


def _odd_rows(text: io.TextIOWrapper, separator: str) -> Iterator[tuple[int, int]]:
    """First and last line of every row that the strict reader refuses."""
    reader = csv.reader(text, delimiter=separator, strict=True)
    while True:
        first = reader.line_num + 1
        try:
            next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield first, reader.line_num


@contextmanager
def _any_length() -> Generator[None]:
    """A long cell is no fault of its quotes."""
    before = csv.field_size_limit(_LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _has_quotes(path: Path) -> bool:
    with path.open("rb") as file:
        return any(b'"' in chunk for chunk in iter(lambda: file.read(_CHUNK), b""))
