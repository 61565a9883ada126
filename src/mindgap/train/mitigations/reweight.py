"""Losses weighted by how rare a sample's group is."""

# ruff: noqa: ARG002  (hooks are given more than this method uses)

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, Batch, TrainingFacts


@MITIGATIONS.register("reweight")
class InverseFrequencyWeights(AbstractMitigation):
    """Weights a sample of group g by n/(G·n_g), with n and n_g of the training images whose group is known.

    Kamiran & Calders 2012, without the classes. Weights have the mean 1 over the training images, so the step keeps its
    size: the batch's weighted losses are summed and divided by the batch's size, not by the sum of its weights, which
    would undo the weight of a batch of one group. A sample of unknown group has weight 1. G counts the groups that have
    an image.

    Example:
        Three training images of group A and one of B weigh 4/(2·3) = 2/3 and 4/(2·1) = 2; losses 1, 1, 1 and 5 give
        (2/3 + 2/3 + 2/3 + 10)/4 = 3 = (1 + 5)/2, the mean of the groups' means.
    """

    def __init__(self, facts: TrainingFacts, options: Any) -> None:
        super().__init__(facts, options)
        counts = torch.as_tensor(facts.group_counts, dtype=torch.float32)
        present = (counts > 0).sum().clamp(min=1)
        by_group = torch.where(counts > 0, counts.sum() / (present * counts.clamp(min=1.0)), 1.0)
        self._weights = torch.cat([by_group, torch.ones(1)])  # the last one is taken for -1, unknown

    def objective(self, losses: Tensor, batch: Batch, features: Tensor | None) -> Tensor:
        """The mean of the weighted losses, scalar."""
        if self._weights.device != losses.device:
            self._weights = self._weights.to(losses.device)
        return (self._weights[batch.groups] * losses).mean()
