"""Loss of the worst-off group."""

# ruff: noqa: ARG002  (hooks are given more than this method uses)

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mindgap.core.groups import Groups
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, Batch, BatchWish, group_sums


@MITIGATIONS.register("maxgroup")
class MaxGroupLoss(AbstractMitigation):
    """Minimises the largest mean loss of a group, max_g L_g, over the groups present in the batch.

    MG eq. 2. Every batch holds at least one image of every group, so it must be as large as there are groups, and the
    images of a small group repeat. Samples without the attribute have no term; a batch that holds no other falls back
    to their mean. May lower the best groups more than it lifts the worst.

    Example:
        Losses 1, 3 in group A and 5 in group B: max(2, 5) = 5, and only B's sample has a gradient.
    """

    searchable: ClassVar[bool] = True

    def batches(self, groups: Groups) -> BatchWish:
        """At least one image of every group."""
        return BatchWish(min_per_group=1)

    def objective(self, losses: Tensor, batch: Batch, features: Tensor | None) -> Tensor:
        """The largest group mean, scalar."""
        sums, counts = group_sums(losses, batch.groups, count=len(self.facts.group_names))
        means = torch.where(counts > 0, sums / counts.clamp(min=1.0), -torch.inf)
        return torch.where(counts.sum() > 0, means.max(), losses.mean())
