"""Distributionally robust optimisation over groups."""

# ruff: noqa: ARG002  (hooks are given more than this method uses)

from __future__ import annotations

from types import MappingProxyType
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from mindgap.core.config import StrictModel
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, Batch, TrainingFacts, group_sums
from mindgap.train.tuning_range import Range, TuningRanges


class GroupDROOptions(StrictModel):
    """Options of GroupDRO.

    Attributes:
        eta: η, how fast the weights move to the groups of high loss.
        adjustment: C, adds C/√n_g to the loss of a group by which the weights move, as small groups generalise worse.
        memoryless: forgets the weights of earlier batches; with a large η that is ``maxgroup``.
    """

    eta: float = Field(default=0.01, gt=0, le=1e9)
    adjustment: float = Field(default=0.0, ge=0, le=1e6)
    memoryless: bool = False


@MITIGATIONS.register("groupdro")
class GroupDRO(AbstractMitigation):
    """Minimises Σ_g q_g L_g, whose weights follow the losses: q_g ← q_g·exp(η(L_g + C/√n_g)), normalised.

    Sagawa et al. 2020, Alg. 1, with L_g the mean loss of the batch's samples of group g. The weights of absent groups
    are left as they are, but for the normalisation, and have no term. log q is stored, so that no weight becomes an
    exact 0 from which it could not return. For η → ∞ they follow the largest *cumulative* loss, which is the largest
    loss of the batch only without memory. A group without a training image has no weight; samples without the attribute
    have no term, and a batch that holds no other falls back to their mean. The paper pairs it with group-balanced
    batches (``--ratios uniform``) and a strong weight decay or early stopping; without them a network that fits its
    training set leaves nothing to weight.

    Example:
        Groups of mean loss 1 and 3, first batch, η = ln 2: q ∝ 2, 8, so .2 and .8, and the objective is 2.6.
    """

    options_model: ClassVar[type[StrictModel]] = GroupDROOptions
    tuned: ClassVar[TuningRanges] = MappingProxyType({"eta": Range(0.001, 0.3), "adjustment": Range(0.01, 5.0)})

    def __init__(self, facts: TrainingFacts, options: Any) -> None:
        super().__init__(facts, options)
        counts = torch.as_tensor(facts.group_counts, dtype=torch.float32)
        self._margin = torch.where(counts > 0, self.options.adjustment / counts.clamp(min=1.0).sqrt(), 0.0)
        self._first = torch.where((counts > 0) | (counts.sum() == 0), 0.0, -torch.inf)  # others never have a loss
        self._log_q = torch.log_softmax(self._first, dim=0)

    @property
    def weights(self) -> Tensor:
        """q, float32 (G,), sum 1."""
        return self._log_q.exp()

    def objective(self, losses: Tensor, batch: Batch, features: Tensor | None) -> Tensor:
        """The weighted sum of the groups' mean losses, scalar, with the weights that this batch leads to."""
        if self._log_q.device != losses.device:
            self._log_q, self._margin = self._log_q.to(losses.device), self._margin.to(losses.device)
            self._first = self._first.to(losses.device)
        sums, counts = group_sums(losses, batch.groups, count=len(self.facts.group_names))
        present = counts > 0
        means = sums / counts.clamp(min=1.0)
        with torch.no_grad():
            start = self._first if self.options.memoryless else self._log_q
            moved = start + torch.where(present, self.options.eta * (means + self._margin), 0.0)
            self._log_q = torch.log_softmax(moved, dim=0)
            q = torch.where(present, self._log_q.exp(), 0.0)
            if self.options.memoryless:  # all that an absent group had was its share of the beginning
                q = q / q.sum().clamp(min=torch.finfo(q.dtype).tiny)
        return torch.where(present.any(), (q * means).sum(), losses.mean())

    def state_dict(self) -> dict[str, Any]:
        """Its logarithms of q."""
        return {"log_q": self._log_q}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back what ``state_dict`` gave."""
        self._log_q = state["log_q"]
