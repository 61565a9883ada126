"""Batches with the same share of every group."""

from __future__ import annotations

import numpy as np

from mindgap.core.groups import Groups
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, BatchWish


@MITIGATIONS.register("resample")
class BalancedBatches(AbstractMitigation):
    """Draws batches in which every group has the same share, and minimises their mean loss.

    Over a run each of the G groups with a training image has the share 1/G of the images whose group is known; those of
    unknown group keep their natural share. Images of small groups repeat, which adds no information: a group of ten
    images is learnt by heart. The classes keep their shares within each group. The plain baseline of Idrissi et al.
    2022, which most methods fail to beat.

    Example:
        90 images of group A, 10 of B: half of the images drawn are of B, each nine times as often as one of A.
    """

    def batches(self, groups: Groups) -> BatchWish:
        """The same share for every group that has an image."""
        present = (groups.counts() > 0).astype(np.float64)
        return BatchWish(ratios=present / present.sum()) if present.any() else BatchWish()
