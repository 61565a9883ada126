"""Scores as levels: what ranking metrics need to know of them, and where they are binned.

A row's level under a class is the rank of its score among the distinct ones, 0 for the highest, so equal scores share a
level and nothing is lost. Resampling visits every level of every group, so above 50,000 rows (or with so many groups
that each is compared with the rest) levels are quantile bins; ``GroupRoc`` says what that changes on the sample itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, Integers

EXACT_ROWS = 50_000
BINS = 1024
BINS_OF_MANY_GROUPS = 256


@dataclass(frozen=True, eq=False)
class ScoreLevels:
    """The levels of n rows under each of C classes.

    Attributes:
        of_class: per class int32 (n,), 0 for the highest score.
        sizes: per class how many levels there are.
        binned: whether a level may hold different scores.
    """

    of_class: tuple[NDArray[np.int32], ...]
    sizes: tuple[int, ...]
    binned: bool

    @staticmethod
    def of(probabilities: Floats, *, bins: int | None) -> ScoreLevels:
        """Levels of probabilities (n, C): exact without ``bins``, else at most that many quantile bins per class."""
        found = [_levels(probabilities[:, k], bins) for k in range(probabilities.shape[1])]
        binned = any(was_binned for _, _, was_binned in found)
        return ScoreLevels(tuple(levels for levels, _, _ in found), tuple(size for _, size, _ in found), binned)


def bins_for(rows: int, *, many_groups: bool) -> int | None:
    """How many bins that many rows are resampled on; None keeps every score."""
    if many_groups:
        return BINS_OF_MANY_GROUPS
    return BINS if rows > EXACT_ROWS else None


def _levels(scores: Floats, bins: int | None) -> tuple[NDArray[np.int32], int, bool]:
    if bins is not None:
        edges = np.unique(np.quantile(scores, np.arange(1, bins) / bins))
        levels, used = ranks_of_small(len(edges) - np.searchsorted(edges, scores, side="left"))
        one_of_each = np.empty(len(used))
        one_of_each[levels] = scores
        return levels.astype(np.int32), len(used), bool((one_of_each[levels] != scores).any())
    distinct, levels = np.unique(-scores, return_inverse=True)
    return levels.astype(np.int32), len(distinct), False


def ranks_of_small(numbers: Integers) -> tuple[Integers, Integers]:
    """Each number's rank among the distinct ones, and these, for int64 (n,) ≥ 0 that are not large.

    It is ``numpy.unique`` without the sorting, twenty times faster for a million numbers.
    """
    there = np.bincount(numbers) > 0
    return (np.cumsum(there) - 1)[numbers], np.flatnonzero(there)
