"""Expected calibration error."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mindgap.metrics.counts import Floats
from mindgap.metrics.group_sample import GroupSample, Statistic
from mindgap.metrics.metric import METRICS, AbstractGroupFigure, Direction, IntervalKind


@METRICS.register("ece")
class ExpectedCalibrationError(AbstractGroupFigure):
    """Σ_b (n_b/n)·|accuracy_b − confidence_b| over 15 bins of equal width of the predicted class's probability.

    Guo et al. 2017, in 0..1; 0 is calibrated. It is a 1-norm of the bins' deviations, so it is above 0 by chance, more
    so in small groups, and its interval is the norm pivot. It says nothing of the other classes' probabilities. Four
    rows at confidence .9 of which three are right give .15.
    """

    name = "ece"
    statistic: ClassVar[Statistic] = "reliability"
    direction: ClassVar[Direction] = "smaller"
    ideal: ClassVar[float] = 0.0
    interval: ClassVar[IntervalKind] = "norm_pivot"

    def of_groups(self, sample: GroupSample) -> Floats:
        """Float64 (..., G)."""
        reliability = sample.reliability
        return np.full(sample.counts.sizes.shape, np.nan) if reliability is None else reliability.ece

    def distance(self, sample: GroupSample, observed: GroupSample) -> Floats:
        """The 1-norm of the deviations' differences, float64 (..., G)."""
        if sample.reliability is None or observed.reliability is None:
            return np.full(sample.counts.sizes.shape, np.nan)
        return np.abs(sample.reliability.deviations - observed.reliability.deviations).sum(axis=-1)
