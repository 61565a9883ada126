"""What the search maximises: accuracy against unfairness, BiaslessNAS eq. 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import DataError
from mindgap.core.groups import Groups


@dataclass(frozen=True)
class Reward:
    """R = α·A − β·U if A ≥ AC, else −1 (BiaslessNAS, eq. 2).

    Attributes:
        alpha: weight of the accuracy A.
        beta: weight of the unfairness U.
        accuracy_floor: AC, in 0..1.
        infeasible: reward of a candidate that was rejected untrained or whose training failed.

    Example:
        >>> Reward(alpha=0.2, beta=0.8, accuracy_floor=0.7, infeasible=-1.0)(0.80, 0.15)  # .16 − .12
        0.04
    """

    alpha: float
    beta: float
    accuracy_floor: float
    infeasible: float = -1.0

    def is_feasible(self, accuracy: float) -> bool:
        """Whether a trained candidate reaches the accuracy floor."""
        return accuracy >= self.accuracy_floor

    def __call__(self, accuracy: float, unfairness: float) -> float:
        """The reward of a trained candidate."""
        if not self.is_feasible(accuracy):
            return -1.0
        return self.alpha * accuracy - self.beta * unfairness


def default_accuracy_floor(majority_rate: float) -> float:
    """AC = q + min(.05, (1 − q)/4): a little more than always naming the commonest class, whose rate is q.

    Example:
        >>> default_accuracy_floor(0.67)
        0.72
    """
    return majority_rate + min(0.05, (1 - majority_rate) / 4)


def infeasible_reward(beta: float, groups: int) -> float:
    """min(−1, −β(G − 1)): no better than the worst that eq. 2 can give G groups."""
    return min(-1.0, -beta * (groups - 1))


def majority_rate(labels: NDArray[np.integer[Any]]) -> float:
    """Share of the commonest class; of a 0/1 matrix (n, L), the mean share over its columns."""
    if labels.ndim == 2:
        positive = labels.mean(axis=0)
        return float(np.maximum(positive, 1 - positive).mean())
    return float(np.bincount(labels).max() / labels.size)


def excluded_groups(
    groups: Groups, *, min_group: int = 30, others: Sequence[str] = (), split: str = "validation"
) -> tuple[str, ...]:
    """Names of the groups of fewer than ``min_group`` rows, which the reward leaves out because chance would rule.

    Six equal groups of 7000/2900/72/24/5/5 rows have U = .37 on average by chance alone at an accuracy of .80.

    Args:
        groups: of the rows that judge candidates (validation).
        min_group: fewest rows of a group that counts.
        others: attributes with enough groups of that size, to be named where this one has not.
        split: of the rows.

    Raises:
        DataError: fewer than two groups are left, or there is no row at all.
    """
    if not len(groups.ids):
        raise DataError(
            f"the store has no {split} images, which judge; prepare it again with a {split} share, such as "
            "--split .7,.15,.15"
        )
    counts = dict(zip(groups.names, groups.counts().tolist(), strict=True))
    excluded = tuple(name for name, count in counts.items() if count < min_group)
    if len(counts) - len(excluded) < 2:
        seen = ", ".join(f"{name} {count}" for name, count in counts.items())
        instead = f"--attribute {others[0]}" if others else "another attribute"
        raise DataError(
            f"{groups.attribute}: fewer than two groups have {min_group} {split} images ({seen}); "
            f"take {instead}, merge groups, or lower --min-group"
        )
    return excluded
