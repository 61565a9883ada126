"""Features, labels and a head that underestimates one group's positives by a planted amount."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mindgap.core.groups import Groups
from mindgap.core.seed import numpy_generator

_NORMAL = NormalDist()
MARGIN = 1.5
PREVALENCE = 0.4


@dataclass(frozen=True, eq=False)
class Planted:
    """A made multi-label set with its trained head.

    Attributes:
        features: float32 (n, F).
        labels: uint8 (n, L).
        groups: ``many`` and ``few``, every tenth row unknown.
        clusters: int64 (n,), of two rows each.
        weight: float32 (L, F), of the head.
        bias: float32 (L,).
        score: the underestimation score of the positives of ``few`` that the head has but for chance; 1 for ``many``.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.uint8]
    groups: Groups
    clusters: NDArray[np.int64]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    score: float


def planted_underestimation(
    n: int, *, labels: int = 2, features: int = 32, score: float = 0.6, few: float = 0.3, seed: int = 0
) -> Planted:
    """Draws a set in which US = P[ŷ=1 | few]/P[y=1 | few] is ``score`` for every label, and 1 in the other group.

    Every label has a feature of mean m or −m by its truth, of standard deviation 1. The head reads it with a bias that
    makes as many mistakes either way among ``many``: π Φ(−(m − b)) = (1 − π) Φ(−(m + b)). Among ``few`` positives lie δ
    lower, with π Φ(m − b − δ) + (1 − π) Φ(−(m + b)) = π · score. The last feature tells the groups apart, and the head
    does not read it: one that does can mend what is wrong, a threshold for all cannot.

    Args:
        n: rows.
        labels: L.
        features: F, at least L + 1; those that are left are noise.
        score: US of ``few``, above the share of false positives.
        few: share of that group.
        seed: of everything drawn.
    """
    generator = numpy_generator("planted underestimation", seed)
    bias = _even_bias()
    false = (1 - PREVALENCE) * _NORMAL.cdf(-(MARGIN + bias))
    drop = MARGIN - bias - _NORMAL.inv_cdf((PREVALENCE * score - false) / PREVALENCE)
    group = (generator.random(n) < few).astype(np.int64)
    truth = (generator.random((n, labels)) < PREVALENCE).astype(np.uint8)
    seen = generator.standard_normal((n, features))
    seen[:, :labels] += np.where(truth, MARGIN - drop * group[:, None], -MARGIN)
    seen[:, -1] = 2 * group - 1 + 0.3 * seen[:, -1]
    ids = np.where(np.arange(n) % 10 == 9, -1, group)
    weight = np.eye(labels, features, dtype=np.float32)
    return Planted(
        features=seen.astype(np.float32),
        labels=truth,
        groups=Groups("sex", ("many", "few"), ids),
        clusters=np.arange(n) // 2,
        weight=weight,
        bias=np.full(labels, -bias, dtype=np.float32),
        score=score,
    )


def _even_bias() -> float:
    """The threshold b at which false positives are as many as missed ones, by bisection."""
    low, high = -MARGIN, MARGIN
    for _ in range(60):
        middle = (low + high) / 2
        missed = PREVALENCE * _NORMAL.cdf(-(MARGIN - middle))
        false = (1 - PREVALENCE) * _NORMAL.cdf(-(MARGIN + middle))
        low, high = (middle, high) if false > missed else (low, middle)
    return (low + high) / 2
