"""What whole owners of rows (clusters, or units of a permutation) add to counts, ROC levels and reliability.

A resample is a number of times for each owner, so everything a metric needs of many resamples is a sparse matrix times
the matrix of those numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, Integers
from mindgap.metrics.reliability import N_BINS
from mindgap.metrics.score_levels import ScoreLevels
from mindgap.metrics.sparse_counts import Incidence

Weights = NDArray[np.float32]


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
        """Counts rows (n,); a group's cells are the levels it has, or ``every_level`` so that groups can be summed."""
        keys = group_ids * n_levels + levels
        if every_level:
            cells, starts = keys, np.arange(n_groups + 1) * n_levels
        else:
            used, cells = np.unique(keys, return_inverse=True)
            starts = np.searchsorted(used, np.arange(n_groups + 1) * n_levels)
        width = int(starts[-1])
        places = cells + np.where(positive, 0, width)
        return LevelTally(Incidence.of(places, owners, shape=(2 * width, n_owners)), starts.astype(np.int64))

    def by_group(self, weights: Weights) -> Iterator[tuple[Weights, Weights]]:
        """Positives and negatives of each group, (levels, r) each, of replicates with those weights (owners, r)."""
        totals = self.incidence.totals(weights)
        width = int(self.starts[-1])
        for start, end in zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True):
            yield totals[start:end], totals[width + start : width + end]


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
                group_ids * N_BINS + bins, owners, shape=(n_groups * N_BINS, n_owners), values=surplus
            ),
        )

    @property
    def n_cells(self) -> int:
        """Numbers per replicate that the largest of the parts has."""
        return max([self.counts.n_cells, *(tally.incidence.n_cells for tally in self.levels)])
