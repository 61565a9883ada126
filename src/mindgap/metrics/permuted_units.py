"""Permuted group labels by unit: the largest sets of rows that always share one.

A unit is a cluster whose rows are all of one group wherever its stratum may move it, or a single row of a cluster that
takes over a pattern of several groups, or all rows of one group that cannot move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.counts import Integers
from mindgap.metrics.permutation_strata import Stratum, Within, permutation_strata

MANY_CLUSTERS = 4096
FEW_PATTERNS = 64
_TABLE = 2**16

Drawn = NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class PermutedUnits:
    """The units of a sample.

    Attributes:
        of_row: int64 (n,), the unit of every row.
        own_groups: int16 (units,), the group each is in.
        strata: the strata that can move, each with the numbers of its units.
    """

    of_row: Integers
    own_groups: Drawn
    strata: list[tuple[Stratum, Integers]]

    @property
    def n_units(self) -> int:
        """How many units there are."""
        return len(self.own_groups)

    @staticmethod
    def of(rows: ClusteredRows, *, within: Within) -> PermutedUnits:
        """The units of rows whose labels move within classes or among all."""
        moving, _ = permutation_strata(rows, within=within, by_prediction=False)
        of_row = rows.group_ids.copy()
        own = [np.arange(rows.n_groups)]
        numbered: list[tuple[Stratum, Integers]] = []
        n_units = rows.n_groups
        for stratum in moving:
            whole = stratum.pattern_groups.shape[1] == 1
            n_own = len(stratum.clusters) if whole else len(stratum.rows)
            numbers = n_units + np.arange(n_own)
            of_row[stratum.rows] = numbers[stratum.row_clusters] if whole else numbers
            own.append(_groups(stratum, stratum.patterns[None])[0])
            numbered.append((stratum, numbers))
            n_units += n_own
        return PermutedUnits(of_row, np.concatenate(own).astype(np.int16), numbered)

    def draw(self, *, replicates: int, generator: np.random.Generator) -> Drawn:
        """The group of every unit after permuting, int16 (units, r)."""
        drawn = np.repeat(self.own_groups[:, None], replicates, axis=1)
        for stratum, numbers in self.strata:
            patterns = stratum.patterns.astype(_smallest(stratum.n_patterns))
            many = len(patterns) > MANY_CLUSTERS and stratum.n_patterns <= FEW_PATTERNS
            shuffled = (shuffle_many if many else _shuffle)(patterns, replicates, generator)
            drawn[numbers] = _groups(stratum, shuffled).T
        return drawn


def _groups(stratum: Stratum, patterns: NDArray[Any]) -> Drawn:
    """The groups of the stratum's units, (r, units), when its clusters have these patterns (r, K)."""
    groups = stratum.pattern_groups.astype(np.int16)
    if groups.shape[1] == 1:
        return groups[:, 0][patterns]
    return groups[patterns[:, stratum.row_clusters], stratum.row_slots]


def _shuffle(patterns: NDArray[Any], replicates: int, generator: np.random.Generator) -> NDArray[Any]:
    return generator.permuted(np.tile(patterns, (replicates, 1)), axis=1)


def shuffle_many(patterns: NDArray[Any], replicates: int, generator: np.random.Generator) -> NDArray[Any]:
    """Random orders of many numbers (m,) of few kinds, (r, m), three times faster than by swaps.

    Every place draws a kind by itself, or none; so few that no kind is drawn too often (else the replicate is drawn
    anew). What is left of each kind is then shuffled among the places without one. No place is treated unlike another,
    so every order of the numbers is equally likely.
    """
    numbers = np.bincount(patterns)
    chances = np.maximum(numbers - 4 * np.sqrt(numbers), 0) / len(patterns)
    ends = np.floor(np.cumsum(chances) * _TABLE).astype(np.int64)
    kinds = np.arange(len(numbers), dtype=patterns.dtype)
    table = np.append(kinds, patterns.dtype.type(-1))[np.searchsorted(ends, np.arange(_TABLE), side="right")]
    drawn = np.empty((replicates, len(patterns)), dtype=patterns.dtype)
    for own in drawn:
        left = np.array([-1])
        while left.min() < 0:
            np.take(table, generator.integers(_TABLE, size=len(patterns), dtype=np.uint16), out=own)
            left = numbers - np.array([np.count_nonzero(own == kind) for kind in kinds])
        own[own < 0] = generator.permutation(np.repeat(kinds, left))
    return drawn


def _smallest(size: int) -> type[np.signedinteger]:
    return np.int16 if size <= np.iinfo(np.int16).max else np.int32
