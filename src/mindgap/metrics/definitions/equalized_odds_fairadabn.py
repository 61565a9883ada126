"""Equalised odds as FairAdaBN computes it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mindgap.metrics.counts import Floats, spread
from mindgap.metrics.equalized_odds import AbstractOddsGap
from mindgap.metrics.metric import METRICS


@METRICS.register("equalized_odds_fairadabn")
class EqualizedOddsFairadabn(AbstractOddsGap):
    """Mean over classes, one against the rest, of the range over groups of TPR + TNR; two groups: |ΔTPR + ΔTNR|.

    Xu et al. 2023 (FairAdaBN). In 0..2. A higher TPR and a lower TNR in the same group cancel, so 0 does not mean equal
    odds: it compares how well groups are told apart, not how readily a class is given. Classes without positives and
    negatives in every group are left out and listed. TPRs of .9 and .7 with TNRs of .9 and .8 give .3, with .7 and .9
    nothing.
    """

    name = "equalized_odds_fairadabn"
    range: ClassVar[tuple[float, float]] = (0.0, 2.0)

    def class_norm(self, rates: Floats) -> Floats:
        """Range of TPR − FPR, which is that of TPR + TNR, float64 (...)."""
        return spread(-np.diff(rates, axis=-2)[..., 0, :])
