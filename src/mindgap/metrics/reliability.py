"""Reliability: how far confidence and accuracy part in every bin of confidence, by group."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, divide

N_BINS = 15


@dataclass(frozen=True, eq=False)
class GroupReliability:
    """Sums over bins of confidence; leading axes are replicates.

    Attributes:
        surplus: float64 (..., G, 15), Σ (right − confidence) over the rows of a group and bin.
        sizes: float64 (..., G), rows.
        groups: the G group names.
    """

    surplus: Floats
    sizes: Floats
    groups: tuple[str, ...]

    @cached_property
    def deviations(self) -> Floats:
        """Float64 (..., G, 15): the vector whose 1-norm is the ECE, (rows in bin / rows)·(accuracy − confidence)."""
        return divide(self.surplus, self.sizes[..., None])

    @cached_property
    def ece(self) -> Floats:
        """Float64 (..., G) in 0..1; NaN for an empty group."""
        return np.abs(self.deviations).sum(axis=-1)

    def keep(self, groups: NDArray[np.bool_]) -> GroupReliability:
        """The sums of some groups, chosen by a bool (G,) mask."""
        names = tuple(name for name, kept in zip(self.groups, groups, strict=True) if kept)
        return GroupReliability(self.surplus[..., groups, :], self.sizes[..., groups], names)


def confidence_bins(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], probabilities: Floats
) -> tuple[NDArray[np.int64], Floats]:
    """The bin of confidence of every row, int64 (n,) in 0..14, and right − confidence, float64 (n,).

    Confidence is the probability of the predicted class; the bins ((b, b + 1]/15) are of equal width (Guo et al. 2017).
    """
    confidence = np.take_along_axis(probabilities, predicted[:, None], axis=1)[:, 0]
    bins = np.clip(np.ceil(confidence * N_BINS) - 1, 0, N_BINS - 1).astype(np.int64)
    return bins, (labels == predicted) - confidence


def reliability_of_rows(
    bins: NDArray[np.int64], surplus: Floats, group_ids: NDArray[np.int64], *, groups: tuple[str, ...]
) -> GroupReliability:
    """The reliability of rows with these bins of confidence and right − confidence, (n,) each, in groups (n,)."""
    cells = group_ids * N_BINS + bins
    summed = np.bincount(cells, weights=surplus, minlength=len(groups) * N_BINS).astype(np.float64)
    sizes = np.bincount(group_ids, minlength=len(groups)).astype(np.float64)
    return GroupReliability(summed.reshape(-1, N_BINS), sizes, groups)
