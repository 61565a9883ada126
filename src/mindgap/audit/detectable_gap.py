"""The smallest accuracy difference that two sets of images of a given size would show.

Normal approximation for two independent proportions, without continuity correction (Fleiss, Levin & Paik 2003,
Statistical Methods for Rates and Proportions, eq. 4.14): a two-sided test at level α has power 1 − β where

    δ = z_{1−α/2} sqrt(p̄(1 − p̄)(1/n₁ + 1/n₂)) + z_{1−β} sqrt(p₁(1 − p₁)/n₁ + p₂(1 − p₂)/n₂),

p₂ = A, p₁ = A − δ, p̄ their mean weighted by n. Images of one cluster are right or wrong together, so n images count as
n / (1 + (m − 1) ICC), with m = Σ m_i² / Σ m_i over the clusters' sizes m_i (Kish 1965, Survey Sampling, ch. 5; Donner &
Klar 2000 for unequal sizes). Assumed, not measured: A, and the correlation ICC of being right within a cluster. A
cluster with images on both sides makes the difference easier to see than said here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mindgap.metrics.counts import Floats, Integers

Z_LEVEL = 1.959963984540054
"""Quantile .975 of the normal distribution: two-sided 5 %."""
Z_POWER = 0.8416212335729143
"""Quantile .8: 80 % power."""
LEVEL = 0.05
POWER = 0.8
ICC = 0.5
"""Intra-cluster correlation of being right, where none is given: photographs of one lesion are much alike."""
ACCURACY = 0.8
_STEPS = 400


@dataclass(frozen=True)
class Sample:
    """How much a set of images can tell.

    Attributes:
        n: images.
        clusters: clusters among them.
        cluster_size: m = Σ m_i² / Σ m_i, 1 if every image is a cluster of its own; NaN without images.
    """

    n: int
    clusters: int
    cluster_size: float

    @staticmethod
    def of(clusters: Integers) -> Sample:
        """The sample of images with these cluster numbers, int64 (n,).

        Example:
            Clusters 0, 0, 0, 1: n = 4 in 2 clusters, m = (9 + 1)/4 = 2.5.
        """
        sizes = np.unique(clusters, return_counts=True)[1].astype(np.float64)
        m = float((sizes**2).sum() / sizes.sum()) if sizes.size else math.nan
        return Sample(len(clusters), len(sizes), m)

    def effective_n(self, icc: float) -> float:
        """N / (1 + (m − 1) ICC): so many independent images would tell as much; 0 without images.

        Example:
            4 images with m = 2.5 and an ICC of .5 count as 4 / 1.75 = 2.29.
        """
        return self.n / (1 + (self.cluster_size - 1) * icc) if self.n else 0.0


def detectable_difference(accuracy: float, worse_n: float, other_n: float) -> float:
    """The smallest δ that a two-sided 5 % test of two accuracies finds with 80 % power.

    Args:
        accuracy: A of the better side, in 0..1; the other has A − δ.
        worse_n: effective images of the side with A − δ.
        other_n: effective images of the side with A.

    Returns:
        δ in 0..A, or NaN if not even a side that is always wrong would be told apart.

    Example:
        A = .8 and 100 images on either side: δ = .1786, as 1.960·sqrt(.7107·.2893·.02) + .842·sqrt(.00395) =
        .1257 + .0529. With 400 on either side .0848; with 100 against very many .1176.
    """
    if min(worse_n, other_n) <= 0 or accuracy <= 0:
        return math.nan
    low, high = 0.0, accuracy
    grid = np.linspace(low, high, _STEPS + 1)[1:]
    shown = np.flatnonzero(_excess(grid, accuracy, worse_n, other_n) >= 0)
    if not shown.size:
        return math.nan
    high = float(grid[shown[0]])
    low = high - accuracy / _STEPS
    for _ in range(40):
        middle = (low + high) / 2
        if float(_excess(np.array(middle), accuracy, worse_n, other_n)) >= 0:
            high = middle
        else:
            low = middle
    return high


def _excess(delta: Floats, accuracy: float, worse_n: float, other_n: float) -> Floats:
    """δ less what is needed to show it; negative if it is too small."""
    worse = accuracy - delta
    mean = (worse * worse_n + accuracy * other_n) / (worse_n + other_n)
    under_null = mean * (1 - mean) * (1 / worse_n + 1 / other_n)
    under_gap = worse * (1 - worse) / worse_n + accuracy * (1 - accuracy) / other_n
    return delta - Z_LEVEL * np.sqrt(under_null) - Z_POWER * np.sqrt(under_gap)
