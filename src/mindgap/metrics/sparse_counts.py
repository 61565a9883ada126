"""A sparse matrix of counts, the one place that knows scipy.sparse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse  # pyright: ignore[reportMissingTypeStubs]  (scipy comes without types)

from mindgap.metrics.counts import Floats, Integers


@dataclass(frozen=True, eq=False)
class SparseCounts:
    """How often each of T owners holds each of the cells of a count tensor.

    Attributes:
        matrix: scipy sparse array (T, cells), float64.
    """

    matrix: Any

    @staticmethod
    def of(owners: Integers, cells: Integers, times: Integers, *, shape: tuple[int, int]) -> SparseCounts:
        """Builds it from (m,) owners, cells and times; repeated entries add up."""
        entries = (times.ravel().astype(np.float64), (owners.ravel(), cells.ravel()))
        matrix: Any = sparse.csr_array(entries, shape=shape)
        return SparseCounts(matrix)

    def take(self, owners: Integers) -> SparseCounts:
        """The counts of some owners, in that order."""
        return SparseCounts(self.matrix[owners])

    def accumulate(self, weights: Floats) -> Floats:
        """Counts, float64 (r, cells), of replicates that hold each owner as often as ``weights`` (r, T) says."""
        counts: Floats = (self.matrix.T @ weights.T).T
        return np.ascontiguousarray(counts)
