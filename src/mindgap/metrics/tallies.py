"""What whole owners of rows (clusters, or units of a permutation) add to counts, ROC levels and reliability.

A resample is a number of times for each owner, so everything a metric needs of many resamples is a sparse matrix times
the matrix of those numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, Integers
from mindgap.metrics.level_curves import LevelCounts
from mindgap.metrics.members import Members
from mindgap.metrics.reliability import N_BINS
from mindgap.metrics.score_levels import ScoreLevels, ranks_of_small
from mindgap.metrics.sparse_counts import Incidence

MOST_ROWS_OF_RUN = 8192

Weights = NDArray[np.float32] | NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class LevelTally:
    """Positives and negatives at the score levels of one class.

    Attributes:
        incidence: (2U, owners), the positives of all cells, then their negatives.
        starts: int64 (G + 1,), where the cells of each group begin; within a group they are ordered by level.
    """

    incidence: Incidence
    starts: Integers

    @staticmethod
    def of(
        positive: NDArray[np.bool_],
        levels: NDArray[np.int32],
        group_ids: Integers,
        owners: Integers,
        *,
        n_groups: int,
        n_levels: int,
        n_owners: int,
        every_level: bool,
    ) -> LevelTally:
        """Counts rows (n,); a group's cells are the levels it has, or ``every_level`` so that groups can be summed.

        Neighbouring levels of positives alone, or of negatives alone, are one cell: the curve is straight there,
        whoever is drawn, so nothing is lost, and of a good model's levels a tenth remain.
        """
        keys = levels.astype(np.int64) if every_level else group_ids * n_levels + levels
        inverse, used = ranks_of_small(keys)
        first = _first_of_run(positive, inverse, owner=used // n_levels)
        cells, group_of_cell = (np.cumsum(first) - 1)[inverse], used[first] // n_levels
        starts = np.searchsorted(group_of_cell, np.arange(n_groups + 1))
        if every_level:
            width = int(first.sum())
            cells, starts = group_ids * width + cells, np.arange(n_groups + 1) * width
        width = int(starts[-1])
        places = cells + np.where(positive, 0, width)
        return LevelTally(Incidence.of(places, owners, shape=(2 * width, n_owners)), starts.astype(np.int64))

    def resampled(self, weights: Weights) -> LevelCounts:
        """Of replicates that have each owner as often as the weights (owners, r) say."""
        totals, width = self.incidence.totals(weights), int(self.starts[-1])
        return LevelCounts(totals[:width], totals[width:], self.starts)

    def regrouped(self, members: Members) -> LevelCounts:
        """Of replicates whose owners are in other groups; the tally must know one group."""
        totals, width = members.totals(self.incidence), int(self.starts[-1])
        parts = (totals[:, side].reshape(-1, totals.shape[-1]) for side in (slice(width), slice(width, None)))
        return LevelCounts(*parts, starts=np.arange(members.n_groups + 1) * width)


def _first_of_run(positive: NDArray[np.bool_], cells: Integers, *, owner: Integers) -> NDArray[np.bool_]:
    """Bool (cells,): which cells do not continue a run of cells of one owner with rows of the same kind alone.

    A run ends after some thousand rows, so that its sums stay small (``Incidence.narrow``).
    """
    wrong, right = (np.bincount(cells[positive == kind], minlength=len(owner)) for kind in (False, True))
    is_pure = (wrong == 0) | (right == 0)
    stretch = np.cumsum(wrong + right) // MOST_ROWS_OF_RUN
    alike = np.ones(max(len(owner) - 1, 0), dtype=bool)
    for same in (owner, wrong > 0, stretch):
        alike &= same[1:] == same[:-1]
    return np.append(True, ~(alike & is_pure[1:] & is_pure[:-1]))[: len(owner)]


@dataclass(frozen=True, eq=False)
class Tallies:
    """Everything that rows add, by owner.

    Attributes:
        counts: (G·C·C, owners), confusion counts.
        levels: per class, its score levels.
        surplus: (G·15, owners), right − confidence by bin of confidence.
    """

    counts: Incidence
    levels: tuple[LevelTally, ...]
    surplus: Incidence

    @staticmethod
    def of(
        *,
        labels: Integers,
        predicted: Integers,
        group_ids: Integers,
        owners: Integers,
        n_groups: int,
        n_classes: int,
        n_owners: int,
        levels: ScoreLevels,
        reliability: tuple[Integers, Floats],
        every_level: bool,
    ) -> Tallies:
        """Tallies of n rows; ``group_ids`` (n,) of zeros and one group where groups come with the weights.

        Args:
            labels: int64 (n,) true classes.
            predicted: int64 (n,) predicted classes.
            group_ids: int64 (n,) groups.
            owners: int64 (n,) owners.
            n_groups: G.
            n_classes: C.
            n_owners: how many owners there are.
            levels: the rows' score levels.
            reliability: their bin of confidence and right − confidence, (n,) each.
            every_level: whether a group has a cell for levels it lacks.
        """
        cells = (group_ids * n_classes + labels) * n_classes + predicted
        bins, surplus = reliability
        return Tallies(
            counts=Incidence.of(cells, owners, shape=(n_groups * n_classes**2, n_owners)),
            levels=tuple(
                LevelTally.of(
                    labels == k,
                    levels.of_class[k],
                    group_ids,
                    owners,
                    n_groups=n_groups,
                    n_levels=levels.sizes[k],
                    n_owners=n_owners,
                    every_level=every_level,
                )
                for k in range(n_classes)
            ),
            surplus=Incidence.of(
                group_ids * N_BINS + bins,
                owners,
                shape=(n_groups * N_BINS, n_owners),
                values=surplus.astype(np.float32),
            ),
        )

    @property
    def n_cells(self) -> int:
        """Numbers per replicate that the largest of the parts has."""
        return max([self.counts.n_cells, *(tally.incidence.n_cells for tally in self.levels)])
