"""An attempt at a candidate that a process owns, until it is given to another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mindgap.search.slot import Slot


class LostLeaseError(Exception):
    """The attempt is no longer this worker's: it was given to another while this one was silent."""


@dataclass(frozen=True)
class Wanted:
    """An attempt that a process would like to own.

    Attributes:
        slot: number of the candidate.
        tokens: the candidate.
        attempt: number of the try.
        rung: the rung it is to be trained to, from 0.
    """

    slot: int
    tokens: tuple[int, ...]
    attempt: int = field(default=1, kw_only=True)
    rung: int = field(default=0, kw_only=True)


Noted = Callable[[str], Any]
"""Reads a fact about the search; None without it."""

Instead = Callable[[Sequence[Slot], Noted], Wanted | None]
"""What to take where another was first, of the slots and facts as they are then; None is nothing."""


@dataclass(frozen=True)
class Claim:
    """An attempt that this process owns.

    Attributes:
        row: of the database.
        slot: number of the candidate.
        attempt: number of the try.
        tokens: the candidate.
        rung: the rung it is to be trained to, from 0.
        first: number of the first try for this rung; earlier ones left what a lower rung found.
    """

    row: int
    slot: int
    attempt: int
    tokens: tuple[int, ...]
    rung: int = field(default=0, kw_only=True)
    first: int = field(default=1, kw_only=True)
