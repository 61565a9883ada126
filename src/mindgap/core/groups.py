"""Groups of one sensitive attribute over a table's rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import DataError, ShapeError


@dataclass(frozen=True, eq=False)
class Groups:
    """Which group each row belongs to.

    Attributes:
        attribute: name of the attribute, such as ``sex`` or ``sex*age``.
        names: group names, in the order of their numbers.
        ids: int64 (n,), the group's number, or -1 where the attribute is unknown.
    """

    attribute: str
    names: tuple[str, ...]
    ids: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.ids.ndim != 1:
            raise ShapeError(f"{self.attribute}: group ids must be one-dimensional, got shape {self.ids.shape}")
        if self.ids.size and not (self.ids.min() >= -1 and self.ids.max() < len(self.names)):
            raise ShapeError(
                f"{self.attribute}: group ids must lie in -1..{len(self.names) - 1}, "
                f"got {self.ids.min()}..{self.ids.max()}; renumber the group column"
            )

    @property
    def known(self) -> NDArray[np.bool_]:
        """Bool (n,): the rows whose group is known."""
        return self.ids >= 0

    def counts(self) -> NDArray[np.int64]:
        """Int64 (G,): rows per group."""
        return np.bincount(self.ids[self.known], minlength=len(self.names)).astype(np.int64)

    def shares(self) -> NDArray[np.float64]:
        """Float64 (G,): share of each group among the rows where it is known; NaN if it is known nowhere."""
        counts = self.counts().astype(np.float64)
        total = counts.sum()
        return counts / total if total else np.full(len(self.names), np.nan)

    def in_order(self, names: Sequence[str]) -> Groups:
        """The same groups numbered as they come in ``names``, if that holds all of them; else as they are."""
        mine = set(self.names)
        ordered = tuple(name for name in names if name in mine)
        if len(ordered) < len(self.names):
            return self
        numbers = np.array([*(ordered.index(name) for name in self.names), -1], dtype=np.int64)
        return Groups(self.attribute, ordered, numbers[self.ids])

    def take(self, rows: NDArray[np.int64]) -> Groups:
        """The groups of some rows, in that order; names and numbers stay."""
        return Groups(self.attribute, self.names, self.ids[rows])


def refuse_alike_but_for_blanks(words: Iterable[str], *, column: str) -> None:
    """Checks that no two values of a column would make two groups, classes or patients of what a reader takes for one.

    Args:
        words: the different values, each once.
        column: what an error message calls the column.

    Raises:
        DataError: two differ by outer blanks only.
    """
    known, bare = list(words), dict[str, str]()
    if len(set(map(str.strip, known))) == len(known):  # nearly always, and there may be a million clusters
        return
    for word in known:
        other = bare.setdefault(word.strip(), word)
        if other != word:
            raise DataError(f"{column}: {other!r} and {word!r} differ by blanks only; clean the column")
