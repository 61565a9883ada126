"""Dynamic weighting: accuracy and underestimation of many labels in two sums, when all labels share one head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mindgap.core.errors import ShapeError
from mindgap.metrics.counts import Floats

EPSILON = 0.05
Weights = Literal["own", "base"]


@dataclass(frozen=True, eq=False)
class DynamicWeighting:
    """−Σ_i w_{i,a} A_i and Σ_i w_{i,u} U_i, w_{i,a} = 1/(U_i + ε) and w_{i,u} = 1/(A_i + ε), both to be minimised.

    Blanzeisky & Cunningham, eqs. 7 and 8, which leave open whose A and U the weights are of: a head's own are the
    literal reading; those of the trained head stay the same for all heads, so that two heads are weighed alike. Their ε
    is a "small positive number"; here it is .05, as the weight of accuracy would explode with U → 0 otherwise: one
    label without underestimation would then be all that counts. With own weights a label's share of the first sum is
    −A/(U + ε) and of the second U/(A + ε): a gap in one label is weighed up by a gain in another, which is what the
    paper sees as a see-saw.

    Attributes:
        accuracy: float64 (L,) of the trained head, for weights that stay; None for each head's own.
        gap: float64 (L,), its U, in the paper its UEI; None likewise.
        epsilon: ε.
    """

    accuracy: Floats | None = None
    gap: Floats | None = None
    epsilon: float = EPSILON

    def of(self, accuracy: Floats, gap: Floats) -> Floats:
        """The two sums, float64 (P, 2), accuracy's first.

        Args:
            accuracy: float64 (P, L), A of every head and label, in 0..1.
            gap: float64 (P, L), U of every head and label, at least 0.

        Raises:
            ShapeError: the shapes differ, or are not of as many labels as the weights.

        Example:
            A = .9, .8 and U = .15, .05 have w_a = 5, 10 and w_u = 1/.95, 1/.85: −12.5 and .2167.
        """
        base_accuracy = accuracy if self.accuracy is None else self.accuracy
        base_gap = gap if self.gap is None else self.gap
        labels = {accuracy.shape[-1:], base_accuracy.shape[-1:], base_gap.shape[-1:]}
        if accuracy.shape != gap.shape or len(labels) != 1:
            raise ShapeError(
                f"accuracy {accuracy.shape} and gap {gap.shape} must be (P, L), with a weight for each label; the "
                f"weights are of {base_gap.shape}"
            )
        of_accuracy = -(accuracy / (base_gap + self.epsilon)).sum(axis=-1)
        of_gap = (gap / (base_accuracy + self.epsilon)).sum(axis=-1)
        return np.stack([of_accuracy, of_gap], axis=-1)


def make_weighting(weights: Weights, accuracy: Floats, gap: Floats) -> DynamicWeighting:
    """Weights of each head's own figures (``own``), or of the trained head's (``base``), which are given, (L,)."""
    return DynamicWeighting() if weights == "own" else DynamicWeighting(accuracy, gap)
