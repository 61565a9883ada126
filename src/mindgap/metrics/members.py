"""Which group each owner of rows is in, in replicates of a permutation, and what the groups then hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.sparse_counts import Incidence

FEW_GROUPS = 16


@dataclass(frozen=True, eq=False)
class Members:
    """Owners in groups.

    Attributes:
        groups: integers (owners, r) in 0..G-1.
        n_groups: G.
    """

    groups: NDArray[Any]
    n_groups: int

    @cached_property
    def weights(self) -> list[NDArray[np.int16]]:
        """For every group but the last 1 where an owner is in it and else 0, (owners, r)."""
        return [(self.groups == g).astype(np.int16) for g in range(self.n_groups - 1)]

    def totals(self, incidence: Incidence) -> NDArray[Any]:
        """What the owners of each group hold together, (G, cells, r)."""
        if self.n_groups > FEW_GROUPS:
            return np.stack(list(self._counted(incidence)), axis=-1)
        everyone = incidence.totals(np.ones((self.groups.shape[0], 1), dtype=np.int16))
        totals = np.empty((self.n_groups, incidence.n_cells, self.groups.shape[1]), dtype=everyone.dtype)
        totals[-1] = everyone
        for g, weights in enumerate(self.weights):
            totals[g] = incidence.totals(weights)
            totals[-1] -= totals[g]
        return totals

    def _counted(self, incidence: Incidence) -> Iterator[NDArray[np.float64]]:
        """The same, replicate by replicate: (G, cells) each, in time that does not grow with the groups."""
        cells, owners, times = incidence.entries()
        n_cells = incidence.n_cells
        for groups in np.ascontiguousarray(self.groups.T).astype(np.int64):
            places = groups[owners] * n_cells + cells
            found = np.bincount(places, weights=times, minlength=self.n_groups * n_cells)
            yield found.astype(np.float64).reshape(self.n_groups, n_cells)
