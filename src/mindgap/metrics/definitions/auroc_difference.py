"""AUROC difference."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, other_classes_note, spread
from mindgap.metrics.group_roc import GroupRoc
from mindgap.metrics.group_sample import Statistic
from mindgap.metrics.metric import METRICS, AbstractGapMetric, IntervalKind


@METRICS.register("auroc_difference")
class AurocDifference(AbstractGapMetric[GroupRoc]):
    """Largest minus smallest group macro AUROC, in 0..1.

    The "AUC gap" of MEDFAIR (Zong et al. 2023), there of two classes. Each group's mean is over its own classes; a
    resample in which a group lost one is undefined, as the mean over the others is another quantity.
    """

    name = "auroc_difference"
    statistic: ClassVar[Statistic] = "roc"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    interval: ClassVar[IntervalKind] = "norm_pivot"

    def cells(self, observed: GroupRoc) -> NDArray[np.bool_]:
        """Positives and negatives of each class that a group has."""
        return np.broadcast_to(~np.isnan(observed.auroc), (2, *observed.support.shape))

    def note(self, observed: GroupRoc) -> str | None:
        """The classes that a group lacks, whose mean is then over others."""
        return other_classes_note(~np.isnan(observed.auroc), groups=observed.groups, classes=observed.classes)

    def value(self, counts: GroupRoc, observed: GroupRoc) -> Floats:
        """Range, float64 (...); NaN if a group has no area, or lost a class that it has."""
        return spread(_areas(counts, observed))

    def distance(self, counts: GroupRoc, observed: GroupRoc) -> Floats:
        """Range of how far each group's area moves, float64 (...)."""
        return spread(_areas(counts, observed) - observed.macro_auroc)

    def reason(self, observed: GroupRoc) -> str:
        """An empty group, or one of a single class."""
        return observed.of_one_class() or super().reason(observed)


def _areas(counts: GroupRoc, observed: GroupRoc) -> Floats:
    return np.where(counts.lost(observed), np.nan, counts.macro_auroc)
