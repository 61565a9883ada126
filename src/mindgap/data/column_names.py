"""Columns named in a list such as ``--attributes sex,age``: which one a name means, and which none can mean.

The list is cut at its marks and its names are stripped. So no name in it has outer blanks, which headers may have, and
none holds a mark.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterable

import pandas as pd

from mindgap.core.errors import near_names

MARKS = ",:*"
"""Of the attribute syntax."""


def column_meant(name: str, names: Collection[str]) -> str | None:
    """The column of that name; else the only one that has it but for outer blanks; None if there is none.

    Example:
        >>> column_meant("sex", ["sex ", "age"]), column_meant("sex", ["sex ", " sex"])
        ('sex ', None)
    """
    if name in names:
        return name
    alike = _alike(name, names)
    return alike[0] if len(alike) == 1 else None


def with_names(table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The table, each column that a name means going by that name."""
    headers = list(map(str, table.columns))
    meant = {column_meant(name, headers): name for name in names}
    return table.rename(columns={header: meant[header] for header in headers if header in meant})


def nameable(names: Collection[str], *, marks: str = MARKS) -> tuple[str, ...]:
    """The names by which the list can mean a column."""
    counts = Counter(name.strip() for name in set(names))
    return tuple(
        name for name, n in counts.items() if name and (n == 1 or name in names) and not set(marks) & set(name)
    )


def to_rename(name: str, names: Collection[str], *, marks: str = MARKS) -> str:
    """Which columns may be meant but must be renamed first, for an error line before other names; else ``""``.

    Example:
        >>> to_rename("sex", ["id", "sex, at birth"])
        "rename the column 'sex, at birth': with a ',' in its name it cannot be given here; "
    """
    alike = _alike(name, names)
    if len(alike) > 1:
        return f"rename one of the columns {' and '.join(map(repr, alike))}: they differ by blanks only; "
    marked = [column for column in names if set(marks) & set(column)]
    cut = [column for column in marked if name in map(str.strip, re.split(f"[{re.escape(marks)}]", column))]
    for column in cut or difflib.get_close_matches(name, [*nameable(names, marks=marks), *marked], n=1):
        if column in marked:
            mark = next(letter for letter in column if letter in marks)
            return f"rename the column {column!r}: with a {mark!r} in its name it cannot be given here; "
    return ""


def columns_instead(name: str, names: Collection[str], *, marks: str = MARKS) -> str:
    """What to do where no column has the name, as the tail of an error line: columns to rename, and near names."""
    return to_rename(name, names, marks=marks) + near_names(name, nameable(names, marks=marks))


def _alike(name: str, names: Iterable[str]) -> list[str]:
    return sorted(column for column in {*names} if column.strip() == name)
