"""Groups whose name may mean that nothing is known; apart from groups, as the command line reads it without NumPy."""

from __future__ import annotations

from collections.abc import Iterable

_WORDS = frozenset({"unknown", "na", "n/a", "nan", "none", "null", "missing", "not available", "?", "-"})


def missing_word_notes(attribute: str, groups: Iterable[tuple[str, int]]) -> list[str]:
    """A line for each group, given with its rows, that goes by a word for a missing value.

    Example:
        >>> missing_word_notes("sex", [("female", 40), ("Unknown", 3)])
        ["sex has a group 'Unknown' of 3 rows; if that word means a missing value, empty those cells"]
    """
    return [
        f"{attribute} has a group {name!r} of {n} row{'s'[: n - 1]}; if that word means a missing value, "
        "empty those cells"
        for name, n in groups
        if name.strip().lower() in _WORDS
    ]
