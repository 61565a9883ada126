"""An attempt at a candidate that a process owns, until it is given to another."""

from __future__ import annotations

from dataclasses import dataclass


class LostLeaseError(Exception):
    """The attempt is no longer this worker's: it was given to another while this one was silent."""


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
