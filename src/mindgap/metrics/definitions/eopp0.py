"""Equality of opportunity, true negative rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, GroupCounts, spread
from mindgap.metrics.equalized_odds import AbstractOddsGap, odds_cells, sum_note
from mindgap.metrics.metric import METRICS


@METRICS.register("eopp0")
class Eopp0(AbstractOddsGap):
    """Mean over classes, one against the rest, of the range over groups of the true negative rate, in 0..1.

    "EOpp0" of Wu et al. 2022 (FairPrune) is the sum Σ_k |ΔTNR_k|, which grows with the number of classes: the note
    holds it. It looks at no missed positives, and the TNR of a rare class is near 1 in every group. Classes without
    positives and negatives in every group are left out and listed.
    TNRs of .9 and .8 in one class and of .95 and .95 in the other give .05.
    """

    name = "eopp0"

    def class_norm(self, rates: Floats) -> Floats:
        """Range of the FPR, which is that of the TNR, float64 (...)."""
        return spread(rates[..., 1, :])

    def cells(self, observed: GroupCounts) -> NDArray[np.bool_]:
        """The negatives of the classes compared."""
        return odds_cells(observed, positives=False)

    def note(self, observed: GroupCounts) -> str | None:
        """The literature's sum, and the classes left out."""
        said = (sum_note("EOpp0", float(self.value(observed, observed)), observed), super().note(observed))
        return "; ".join(note for note in said if note) or None
