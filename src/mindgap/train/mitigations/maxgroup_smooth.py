"""A smooth form of the loss of the worst-off group."""

# ruff: noqa: ARG002  (hooks are given more than this method uses)

from __future__ import annotations

import math
from types import MappingProxyType
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from mindgap.core.config import StrictModel
from mindgap.core.groups import Groups
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, Batch, BatchWish, group_sums
from mindgap.train.tuning_range import Range, TuningRanges


class SmoothMaxOptions(StrictModel):
    """Options of the smooth largest loss.

    Attributes:
        temperature: τ, in units of the loss; towards 0 the largest loss alone counts, towards infinity all the same.
    """

    temperature: float = Field(default=0.2, ge=1e-6, le=1e3)


@MITIGATIONS.register("maxgroup_smooth")
class SmoothMaxGroupLoss(AbstractMitigation):
    """Minimises τ·log((1/K) Σ_g exp(L_g/τ)) over the K groups present in the batch, L_g the group's mean loss.

    The limit for τ → 0 is the largest group loss (``maxgroup``), for τ → ∞ the groups' mean. Its gradient is that of
    the groups, weighted by softmax(L/τ). We divide by K, as τ·logsumexp does not: that changes no gradient, and keeps
    the objective the loss where all groups have the same. Samples without the attribute have no term; a batch that
    holds no other falls back to their mean.

    Example:
        Groups of mean loss 2 and 5 at τ = 1: log((e² + e⁵)/2) = 4.355; their gradients weigh .047 and .953.
    """

    options_model: ClassVar[type[StrictModel]] = SmoothMaxOptions
    tuned: ClassVar[TuningRanges] = MappingProxyType({"temperature": Range(0.03, 1.0)})

    def batches(self, groups: Groups) -> BatchWish:
        """At least one image of every group."""
        return BatchWish(min_per_group=1)

    def objective(self, losses: Tensor, batch: Batch, features: Tensor | None) -> Tensor:
        """The smooth largest group mean, scalar."""
        tau = self.options.temperature
        sums, counts = group_sums(losses, batch.groups, count=len(self.facts.group_names))
        present = counts > 0
        any_known = present.any()
        scaled = torch.where(present, sums / counts.clamp(min=1.0) / tau, -math.inf)
        # Without a known group all terms are -inf, whose logsumexp has no gradient that is a number.
        safe = torch.where(any_known, scaled, torch.zeros_like(scaled))
        smooth = tau * (torch.logsumexp(safe, dim=0) - present.to(safe.dtype).sum().clamp(min=1.0).log())
        return torch.where(any_known, smooth, losses.mean())
