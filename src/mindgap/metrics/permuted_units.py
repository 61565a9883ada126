"""Permuted group labels by unit: the largest sets of rows that always share one.

A unit is a cluster whose rows are all of one group wherever its stratum may move it, or a single row of a cluster that
takes over a pattern of several groups, or all rows of one group that cannot move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.counts import Integers
from mindgap.metrics.permutation_strata import Stratum, Within, permutation_strata

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
            shuffled = generator.permuted(np.tile(patterns, (replicates, 1)), axis=1)
            drawn[numbers] = _groups(stratum, shuffled).T
        return drawn


def _groups(stratum: Stratum, patterns: Integers) -> Integers:
    """The groups of the stratum's units, (r, units), when its clusters have these patterns (r, K)."""
    if stratum.pattern_groups.shape[1] == 1:
        return stratum.pattern_groups[:, 0][patterns]
    return stratum.pattern_groups[patterns[:, stratum.row_clusters], stratum.row_slots]


def _smallest(size: int) -> type[np.signedinteger]:
    return np.int16 if size <= np.iinfo(np.int16).max else np.int32
