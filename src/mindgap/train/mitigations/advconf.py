"""Uniform confusion: features from which the group cannot be told."""

# ruff: noqa: ARG002  (hooks are given more than this method uses)

from __future__ import annotations

from types import MappingProxyType
from typing import Any, ClassVar, cast

import torch
from pydantic import Field
from torch import Tensor

from mindgap.core.config import StrictModel
from mindgap.train.domain_heads import DomainHeads, HeadOptions, uniform_confusion
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, Batch, TrainingFacts
from mindgap.train.own_figure import OwnFigure
from mindgap.train.tuning_range import Range, TuningRanges


class ConfusionOptions(HeadOptions):
    """Options of uniform confusion.

    Attributes:
        alpha: weight α of the confusion; with 0 the heads learn and the network is trained plainly.
    """

    alpha: float = Field(default=1.0, ge=0, le=1000)


@MITIGATIONS.register("advconf")
class UniformConfusion(AbstractMitigation):
    """Trains features on which a head that learns to tell the groups is left with the uniform distribution.

    Alvi et al. 2018, "Turning a blind eye". For each attribute a head d on the penultimate features z learns
    min_d CE(d(z), a) with the network fixed; the network minimises, with L its mean loss and the heads fixed,

        L − α Σ_attributes mean_i (1/G) Σ_g log softmax(d(z_i))_g.

    The heads leave out samples of unknown group; the confusion, which needs no group, is of all samples. Where nobody's
    group is known the heads' gradient is 0, and only the momentum of their optimiser moves them.

    Where this differs: public code lets network and heads take turns by whole epochs, one of three the network's (a
    ratio of 3), so that it learns from a third of the passes that other methods have. Here they take turns by steps:
    each step of the network is followed by ``head_steps`` of the heads, on the features of the same batch as they were
    before that step, which costs no pass through the network. That ratio is ``head_steps`` 2; more are the default, as
    heads that lag leave the group plain to see. A head has a hidden layer, where the public code's is linear.

    It does not promise that another head, trained afterwards, cannot tell the groups; nor that errors are the same in
    all groups. Where groups differ in their mix of classes, features that hide the group hide some of the class too.

    Example:
        Losses 1 and 3, one attribute of two groups, head outputs (0, 0) and (0, log 3): confusions 0.6931 and 0.8370;
        with α = 2 the objective is 2 + 2 · 0.7650 = 3.5301.
    """

    options_model: ClassVar[type[StrictModel]] = ConfusionOptions
    needs_features: ClassVar[bool] = True
    several_attributes: ClassVar[bool] = True
    tuned: ClassVar[TuningRanges] = MappingProxyType({"alpha": Range(0.1, 10.0), "head_lr": Range(1e-3, 3e-2)})

    def __init__(self, facts: TrainingFacts, options: Any) -> None:
        super().__init__(facts, options)
        self.heads = DomainHeads(facts, options)
        self._features = torch.empty(0)

    def objective(self, losses: Tensor, batch: Batch, features: Tensor | None) -> Tensor:
        """The mean loss and α times the confusion of every head, scalar."""
        inputs = cast("Tensor", features)
        self._features = inputs.detach()
        confusion = torch.stack([uniform_confusion(logits) for logits in self.heads.logits(inputs)]).sum()
        return losses.mean() + self.options.alpha * confusion

    def extra_step(self, batch: Batch) -> None:
        """The heads' turn, on the features that the network just had."""
        self.heads.train(self._features, batch)

    def own_figures(self) -> tuple[OwnFigure, ...]:
        """How well the heads tell the groups from the features, over the last epoch."""
        return self.heads.own_figures()

    def state_dict(self) -> dict[str, Any]:
        """The heads and their optimiser."""
        return self.heads.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back what ``state_dict`` gave."""
        self.heads.load_state_dict(state)
