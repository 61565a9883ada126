"""Accuracy ratio."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mindgap.metrics.counts import Floats, GroupCounts, divide, spread
from mindgap.metrics.metric import METRICS, AbstractGapMetric, Direction, IntervalKind


@METRICS.register("accuracy_ratio")
class AccuracyRatio(AbstractGapMetric):
    """Smallest over largest group accuracy, min_g A_g / max_g A_g, in 0..1; 1 is parity.

    Sheng et al. 2024, Table 2 ("DI"). Says nothing of which errors are made. Groups of .6923 and .8437 give .8206.
    Its logarithm is minus the range of log A_g, so the interval is the norm pivot on the log scale.
    """

    name = "accuracy_ratio"
    direction: ClassVar[Direction] = "larger"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    ideal: ClassVar[float] = 1.0
    interval: ClassVar[IntervalKind] = "log"

    def value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (...)."""
        del observed
        accuracy = counts.accuracy
        return divide(accuracy.min(axis=-1), accuracy.max(axis=-1))

    def distance(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Range of log A_g* − log Â_g, float64 (...)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return spread(np.log(counts.accuracy) - np.log(observed.accuracy))

    def reason(self, observed: GroupCounts) -> str:
        """An empty group, or nothing predicted right."""
        return super().reason(observed) if (observed.sizes == 0).any() else "no row of any group is predicted right"
