"""Equalised odds as SCP-FairPrune computes it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, GroupCounts, spread
from mindgap.metrics.equalized_odds import stacked_rates
from mindgap.metrics.group_sample import Statistic
from mindgap.metrics.metric import METRICS, AbstractNormGap


@METRICS.register("equalized_odds_scp")
class EqualizedOddsScp(AbstractNormGap):
    """Half the mean over all classes, one against the rest, of the range over groups of TPR + FPR, in 0..1.

    Kong et al. 2024 (SCP); two groups: mean_k |ΔTPR_k + ΔFPR_k| / 2. As published, the rate of a group without
    positives or negatives counts as 0, so a class that a group lacks shows as a gap: those cells are listed, and there
    is no interval then. TPR and FPR may cancel as in ``equalized_odds_fairprune``, so 0 does not mean equal odds.
    TPRs of .9 and .7 with FPRs of .2 and .1 in one class, and .5 and no positives with .1 and .1 in the other, give
    (.3 + .5)/2/2 = .2.
    """

    name = "equalized_odds_scp"
    statistic: ClassVar[Statistic] = "class_counts"

    def cells(self, observed: GroupCounts) -> NDArray[np.bool_]:
        """Those of every class and group that have rows; of others there is a reason of its own."""
        return np.stack([observed.support > 0, observed.support < observed.sizes[:, None]])

    def value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """Float64 (...); NaN only where a group has no rows."""
        del observed
        empty = np.isnan(counts.accuracy)[..., None, None, :]
        return self.norm(_sums(np.where(empty, np.nan, np.nan_to_num(stacked_rates(counts)))))

    def vector(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """TPR + FPR of every class and group, float64 (..., C, G); NaN where a cell is empty."""
        del observed
        return _sums(stacked_rates(counts))

    def norm(self, vector: Floats) -> Floats:
        """Half the mean of the classes' ranges, float64 (...)."""
        return spread(vector).mean(axis=-1) / 2

    def no_interval(self, observed: GroupCounts) -> str | None:
        """The cells that count as 0: what their rate would be is not known."""
        note = self.note(observed)
        return None if note is None else f"no interval: {note}"

    def note(self, observed: GroupCounts) -> str | None:
        """The cells that count as 0."""
        cells = [
            f"{name}: no {kind} in group {observed.groups[g]!r}"
            for k, name in enumerate(observed.classes)
            for q, kind in enumerate(("positives", "negatives"))
            for g in np.flatnonzero(np.isnan(stacked_rates(observed)[k, q])).tolist()
        ]
        return f"empty cells count as 0, as published ({'; '.join(cells)})" if cells else None


def _sums(rates: Floats) -> Floats:
    return rates.sum(axis=-2)
