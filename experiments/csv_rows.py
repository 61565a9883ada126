"""The small tables that experiments append to, a row at a time, and go on from."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def read_rows(table: Path) -> list[dict[str, str]]:
    """All rows; none where there is no table yet."""
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append_rows(table: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Adds rows under the heading that is there, or their own if they are the first; prints them.

    Raises:
        ValueError: a row has a column that the heading has not.
    """
    found = list(rows)
    if not found:
        return
    heading = None
    if table.exists():
        with table.open(newline="", encoding="utf-8") as file:
            heading = next(csv.reader(file))
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=heading or list(found[0]))
        if heading is None:
            writer.writeheader()
        writer.writerows(found)
    print(*found, sep="\n", flush=True)
