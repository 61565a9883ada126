"""A sparse matrix of counts, the one place that knows scipy.sparse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
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


@dataclass(frozen=True, eq=False)
class Incidence:
    """What each owner adds to each cell, for products with many columns of weights.

    Attributes:
        matrix: scipy sparse array (cells, owners) stored by owner: the weights are then read once and in order, which
            is five times faster than by cell.
    """

    matrix: Any

    @staticmethod
    def of(cells: Integers, owners: Integers, *, shape: tuple[int, int], values: Floats | None = None) -> Incidence:
        """Builds it from rows: cells and owners (n,), each adding 1 or its value (n,); repeated entries add up."""
        # single precision counts up to 2**24 rows exactly
        exact = np.float32 if len(cells) < 2**24 else np.float64
        entries = np.ones(len(cells), dtype=exact) if values is None else values
        matrix: Any = sparse.csc_array((entries, (cells, owners)), shape=shape)
        matrix.sum_duplicates()
        return Incidence(matrix)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.matrix.shape[0])

    def totals(self, weights: NDArray[np.float32]) -> Any:
        """(cells, r): what replicates hold that have each owner as often as ``weights`` (owners, r) says."""
        return self.matrix @ weights

    def columns(self, owners: Integers) -> Any:
        """The sparse columns of some owners."""
        return self.matrix[:, owners]
