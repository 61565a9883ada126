"""Area between ROC curves."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, divide
from mindgap.metrics.group_roc import GroupRoc
from mindgap.metrics.group_sample import Statistic
from mindgap.metrics.metric import METRICS, AbstractClassGap, IntervalKind


@METRICS.register("abroca")
class Abroca(AbstractClassGap[GroupRoc]):
    """Area between the groups' ROC curves, ∫|ROC_a(x) − ROC_b(x)| dx: the largest over pairs, in the mean over classes.

    Wei & Chakraborti, eq. 22 (Gardner et al. 2019), in 0..1, exact. One class against the rest, over the classes with
    positives and negatives in every group; above 20 groups each is compared with the rest. It is at least the
    difference of the AUROCs, as curves may cross; it is above 0 by chance, more so in small groups; and it compares
    each group's ranking with its own scores, so one threshold for all may still treat groups differently.
    A perfect curve and the diagonal give .5.
    """

    name = "abroca"
    statistic: ClassVar[Statistic] = "roc"
    interval: ClassVar[IntervalKind] = "norm_pivot"

    def cells(self, observed: GroupRoc) -> NDArray[np.bool_]:
        """Positives and negatives of the classes compared."""
        return np.broadcast_to(observed.usable(), (2, *observed.support.shape))

    def value(self, counts: GroupRoc, observed: GroupRoc) -> Floats:
        """Float64 (...)."""
        return _mean_of_usable(self.class_value(counts, observed), observed)

    def distance(self, counts: GroupRoc, observed: GroupRoc) -> Floats:
        """The norm of the differences of the curves' differences, float64 (...)."""
        return _mean_of_usable(self.class_distance(counts, observed), observed)

    def class_value(self, counts: GroupRoc, observed: GroupRoc) -> Floats:
        """Float64 (..., C)."""
        return np.where(observed.usable(), counts.areas.max(axis=-2), np.nan)

    def class_distance(self, counts: GroupRoc, observed: GroupRoc) -> Floats:
        """Float64 (..., C)."""
        return np.where(observed.usable(), counts.largest_moves(observed), np.nan)

    def class_rows(self, observed: GroupRoc, index: int) -> int:
        """The smallest number of positives or of negatives in a group."""
        positives = observed.support[:, index]
        return int(np.minimum(positives, observed.sizes - positives).min())

    def reason(self, observed: GroupRoc) -> str:
        """An empty group, or no class to compare."""
        empty = (observed.sizes == 0).any()
        return super().reason(observed) if empty else "no class has positives and negatives in every group"

    def class_reason(self, observed: GroupRoc, index: int) -> str:
        """The first group without positives or negatives."""
        positives = observed.support[:, index]
        lacking = positives == 0
        if lacking.any():
            return f"no positives in group {observed.groups[int(lacking.argmax())]!r}"
        return f"no negatives in group {observed.groups[int((observed.sizes == positives).argmax())]!r}"

    def note(self, observed: GroupRoc) -> str | None:
        """The classes left out, and that groups are compared with the rest."""
        rest = f"{len(observed.groups)} groups, so each is compared with the rest" if observed.against_rest else None
        return "; ".join(filter(None, [rest, super().note(observed)])) or None


def _mean_of_usable(by_class: Floats, observed: GroupRoc) -> Floats:
    usable: NDArray[np.bool_] = observed.usable()
    return divide(np.where(usable, by_class, 0.0).sum(axis=-1), np.asarray(usable.sum(), dtype=np.float64))
