"""Adversarial learning with projected gradients: predictions from which the group cannot be told."""

# ruff: noqa: ARG002  (hooks are given more than this method uses)

from __future__ import annotations

from types import MappingProxyType
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from mindgap.core.config import StrictModel
from mindgap.space.network import Network
from mindgap.train.domain_heads import DomainHeads, HeadOptions
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, Batch, TrainingFacts
from mindgap.train.own_figure import OwnFigure
from mindgap.train.tuning_range import OneOf, Range, TuningRanges


class AdversaryOptions(HeadOptions):
    """Options of the adversary.

    Attributes:
        alpha: weight α of the adversary's gradient. With 0 the projection alone acts, which is not plain training.
        sees: what the adversary tells the group from. ``prediction`` is the softmax (multi-label: the sigmoid of every
            label), and hiding the group in it asks for demographic parity; ``prediction_and_label`` is also the label,
            which asks for equalised odds; ``features`` are the penultimate features.
    """

    alpha: float = Field(default=1.0, ge=0, le=1000)
    sees: Literal["prediction", "prediction_and_label", "features"] = "prediction"


@MITIGATIONS.register("advrev")
class ProjectedAdversary(AbstractMitigation):
    """Trains against an adversary that tells the group from the prediction, and never in its favour.

    Zhang et al. 2018, "Mitigating unwanted biases with adversarial learning", eq. 1. With g_c the gradient of the mean
    loss and g_d that of the adversary's cross-entropy, every parameter tensor of the network is given

        g_c − α g_d − proj_{g_d}(g_c),    proj_{g_d}(g_c) = (⟨g_c, g_d⟩ / |g_d|²) g_d.

    After every step of the network the adversary takes ``head_steps`` of its own, on the same batch as it was before
    that step. Where g_d is 0, as if nobody's group is known, nothing is projected; parameters that the adversary does
    not depend on, as the classifier's if it sees features, keep g_c. Samples of unknown group are in g_c alone. Of
    several attributes the adversary tells all: g_d is the gradient of the sum of its losses, and what is projected is
    that sum's direction, not each attribute's.

    Where this differs: α stays the same (the paper's experiment on UCI Adult lets it grow as √t while the learning rate
    falls as 1/t, against divergence); the adversary is a small network for any number of classes and groups in place of
    logistic regression on (s, s·y, s·(1 − y)); it takes several steps to one of the network, as one that lags is fooled
    and leaves the group plain to see; the step that follows is the run's optimiser's, which rescales it. The paper asks
    for equalised odds of an adversary that also sees the label; by default it does not see it, as in public code for
    images.

    It does not promise that another adversary cannot tell the groups, nor that training settles: the two may chase each
    other. It takes a second backward pass through the network.

    Example:
        g_c = (3, 4), g_d = (2, 0), α = 0.5: the projection is (3, 0), and the step follows (3 − 1 − 3, 4) = (−1, 4).
    """

    options_model: ClassVar[type[StrictModel]] = AdversaryOptions
    needs_features: ClassVar[bool] = True
    several_attributes: ClassVar[bool] = True
    tuned: ClassVar[TuningRanges] = MappingProxyType(
        {"alpha": Range(0.03, 3.0), "sees": OneOf(("prediction", "prediction_and_label")), "head_lr": Range(1e-3, 3e-2)}
    )

    def __init__(self, facts: TrainingFacts, options: Any) -> None:
        super().__init__(facts, options)
        self.heads = DomainHeads(facts, options)
        self._network: Network | None = None
        self._inputs = torch.empty(0)
        self._gradients: list[tuple[nn.Parameter, Tensor]] = []

    def adapt(self, network: Network) -> Network:
        """Remembers whose gradients the adversary's are."""
        self._network = network
        return network

    def objective(self, losses: Tensor, batch: Batch, features: Tensor | None) -> Tensor:
        """The mean loss, scalar; finds the adversary's gradients while the graph is there."""
        inputs = self.seen(batch, features)
        self._inputs = inputs.detach()
        self._gradients = _gradients(self.heads.loss(inputs, batch), cast("Network", self._network))
        return losses.mean()

    def seen(self, batch: Batch, features: Tensor | None) -> Tensor:
        """What the adversary sees, float32: (B, C), (B, 2C) with the label, or the features (B, F)."""
        if self.options.sees == "features":
            return cast("Tensor", features)
        several = batch.labels.ndim == 2
        prediction = batch.logits.sigmoid() if several else batch.logits.softmax(dim=1)
        if self.options.sees == "prediction":
            return prediction
        labels = batch.labels if several else _one_hot(batch.labels, batch.logits.shape[1])
        return torch.cat([prediction, labels.to(prediction.dtype)], dim=1)

    def after_backward(self, network: Network, batch: Batch) -> None:
        """Turns the gradients away from the adversary's."""
        with torch.no_grad():
            for parameter, adversary in self._gradients:
                if parameter.grad is not None:
                    parameter.grad.copy_(turned_away(parameter.grad, adversary, alpha=self.options.alpha))
        self._gradients = []

    def extra_step(self, batch: Batch) -> None:
        """The adversary's turn, on what it just saw."""
        self.heads.train(self._inputs, batch)

    def own_figures(self) -> tuple[OwnFigure, ...]:
        """How well the adversary tells the groups from what it sees, over the last epoch."""
        return self.heads.own_figures()

    def state_dict(self) -> dict[str, Any]:
        """The adversary and its optimiser."""
        return self.heads.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back what ``state_dict`` gave."""
        self.heads.load_state_dict(state)


def turned_away(gradient: Tensor, adversary: Tensor, *, alpha: float) -> Tensor:
    """g_c − α g_d − proj_{g_d}(g_c) of one tensor; where |g_d|² is 0 in float32, nothing is projected.

    Args:
        gradient: g_c, float32 of any shape.
        adversary: g_d, likewise.
        alpha: α, 0 or more.

    Example:
        g_c = (3, 4), g_d = (2, 0), α = 0.5 give (−1, 4). A g_d at right angles to g_c takes nothing from it.
    """
    tiny = torch.finfo(adversary.dtype).tiny
    square = adversary.square().sum()
    share = torch.where(square > tiny, (gradient * adversary).sum() / square.clamp(min=tiny), 0.0)
    return gradient - (alpha + share) * adversary


def _gradients(loss: Tensor, network: Network) -> list[tuple[nn.Parameter, Tensor]]:
    """The parameters that a loss depends on, with its gradients; the graph stays."""
    if not loss.requires_grad:  # all that the adversary sees is frozen
        return []
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    found = torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True)
    return [(parameter, gradient) for parameter, gradient in zip(trained, found, strict=True) if gradient is not None]


def _one_hot(labels: Tensor, count: int) -> Tensor:
    """Bool (B, C); not ``F.one_hot``, which waits for the device to check the labels."""
    return labels[:, None] == torch.arange(count, device=labels.device)
