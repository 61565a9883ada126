"""How far two computations of the same network agree."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import DataError
from mindgap.data.image_store import Task

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How far probabilities of the same images agree.

    Attributes:
        n: number of images.
        max_difference: largest absolute difference of a probability, 0..1.
        flipped: share of images (multi-label: of images' labels) that are predicted otherwise, 0..1.
    """

    n: int
    max_difference: float
    flipped: float

    def to_record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def agreement(probabilities: Probabilities, other: Probabilities, *, task: Task) -> Agreement:
    """Compares probabilities, both float64 (n, C) of the same n > 0 images.

    It does not say which of the two is nearer to the truth.

    Example:
        >>> agreement(np.array([[0.6, 0.4], [0.9, 0.1]]), np.array([[0.4, 0.6], [0.9, 0.1]]), task="single-label")
        Agreement(n=2, max_difference=0.2, flipped=0.5)

    Raises:
        DataError: a probability is NaN.
    """
    if np.isnan(probabilities).any() or np.isnan(other).any():
        raise DataError("a probability is NaN, so nothing can be compared; the network or the exported file is damaged")
    difference = float(np.abs(probabilities - other).max())
    return Agreement(
        len(probabilities), difference, float((decided(probabilities, task=task) != decided(other, task=task)).mean())
    )


def decided(probabilities: Probabilities, *, task: Task) -> NDArray[np.int64]:
    """The class of every image, int64 (n,), the first of a tie; multi-label: 0 or 1 per label, (n, L)."""
    if task == "multi-label":
        return (probabilities > 0.5).astype(np.int64)
    return probabilities.argmax(axis=1)
