"""An attempt at a candidate that a process owns, until it is given to another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    attempt: int = 1
    rung: int = 0


Instead = Callable[[Sequence[Slot]], Wanted | None]
"""What to take where another was first, of the slots as they are then; None is nothing."""


def nothing(_: Sequence[Slot]) -> None:
    """Takes nothing instead."""


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
    rung: int = 0
    first: int = 1
