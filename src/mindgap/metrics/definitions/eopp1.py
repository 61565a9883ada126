"""Equality of opportunity, true positive rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, GroupCounts, spread
from mindgap.metrics.equalized_odds import AbstractOddsGap, odds_cells, sum_note
from mindgap.metrics.metric import METRICS


@METRICS.register("eopp1")
class Eopp1(AbstractOddsGap):
    """Mean over classes, one against the rest, of the range over groups of the true positive rate, in 0..1.

    "EOpp1" of Wu et al. 2022 (FairPrune) is the sum Σ_k |ΔTPR_k|, which grows with the number of classes: the note
    holds it. It looks at no false positives, and a rare class weighs as much as any: its noise floor is high. Classes
    without positives and negatives in every group are left out and listed.
    TPRs of .9 and .7 in one class and of .5 and .6 in the other give .15.
    """

    name = "eopp1"

    def class_norm(self, rates: Floats) -> Floats:
        """Range of the TPR, float64 (...)."""
        return spread(rates[..., 0, :])

    def cells(self, observed: GroupCounts) -> NDArray[np.bool_]:
        """The positives of the classes compared."""
        return odds_cells(observed, negatives=False)

    def note(self, observed: GroupCounts) -> str | None:
        """The literature's sum, and the classes left out."""
        said = (sum_note("EOpp1", float(self.value(observed, observed)), observed), super().note(observed))
        return "; ".join(note for note in said if note) or None
