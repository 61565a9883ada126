"""Group-weighted loss of BiaslessNAS."""

# ruff: noqa: ARG002  (hooks are given more than this method uses)

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from mindgap.core.config import StrictModel
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, Batch, TrainingFacts, group_sums


class BiaslessOptions(StrictModel):
    """Options of the group-weighted loss.

    Attributes:
        reduction: ``mean`` divides by the sum of the weights; ``sum`` is the equation's letter, a weighted sum over the
            batch size, whose step grows with the largest weight.
        shares: whose shares o_g the weights use: the batch's realised ones, or the training data's (BN Table 2's f').
        fat: ``weighted`` follows eq. 4; ``ratio`` sets every weight to 1 (BN Fig. 4's FAT).
    """

    reduction: Literal["mean", "sum"] = "mean"
    shares: Literal["batch", "data"] = "batch"
    fat: Literal["weighted", "ratio"] = "weighted"


@MITIGATIONS.register("biasless")
class GroupWeightedLoss(AbstractMitigation):
    """Weights a sample of group g by max_h o_h / o_g, with o the batch's shares of the groups.

    Sheng et al. 2024, eq. 4 (which prints arg max; the ratio is meant). A group absent from the batch has no term; a
    sample without the attribute has weight 1. Averaged over the sum of the weights, the objective is the mean over the
    groups present of the group's mean loss, whatever the shares are: they change variance and repetition, not what is
    minimised.

    Example:
        Three samples of group A with loss 1 and one of group B with loss 5: weights 1, 1, 1, 3;
        (1 + 1 + 1 + 15)/6 = 3 = (1 + 5)/2.
    """

    options_model: ClassVar[type[StrictModel]] = BiaslessOptions
    searchable: ClassVar[bool] = True

    def __init__(self, facts: TrainingFacts, options: Any) -> None:
        super().__init__(facts, options)
        self._data_counts = torch.as_tensor(facts.group_counts, dtype=torch.float32)

    def objective(self, losses: Tensor, batch: Batch, features: Tensor | None) -> Tensor:
        """The weighted mean of the losses, scalar."""
        weights = self.weights(batch.groups, dtype=losses.dtype)
        if self.options.reduction == "sum":
            return (weights * losses).mean()
        return (weights * losses).sum() / weights.sum()

    def weights(self, groups: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """The weight of every sample, (B,), from group numbers int64 (B,)."""
        if self.options.fat == "ratio":
            return torch.ones(len(groups), dtype=dtype, device=groups.device)
        if self.options.shares == "data":
            counts = self._data_counts.to(device=groups.device, dtype=dtype)
        else:
            ones = torch.ones(len(groups), dtype=dtype, device=groups.device)
            counts = group_sums(ones, groups, count=len(self.facts.group_names))[1]
        by_group = counts.max() / counts.clamp(min=1.0)
        return torch.where(groups >= 0, by_group[groups.clamp(min=0)], 1.0)
