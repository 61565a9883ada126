"""Batch norms of each group's own, and a penalty on groups that are predicted unlike."""

# ruff: noqa: ARG002  (hooks are given more than this method uses)

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from mindgap.core.config import StrictModel
from mindgap.core.groups import Groups
from mindgap.space.network import Network
from mindgap.train.feature_matching import membership
from mindgap.train.group_norm import groups_of, with_group_norms
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, Batch, BatchWish, TrainingFacts, group_sums
from mindgap.train.trained_groups import trained_groups
from mindgap.train.tuning_range import Range, TuningRanges


class FairAdaBNOptions(StrictModel):
    """Options of the penalty.

    Attributes:
        alpha: α, its weight beside the sum of the groups' losses; 0 leaves the norms per group alone.
    """

    alpha: float = Field(default=1.0, ge=0, le=1e6)


@MITIGATIONS.register("fairadabn")
class FairAdaBN(AbstractMitigation):
    """Gives every group its own batch norms on shared convolutions, and penalises groups that are predicted unlike.

    Σ_g L_g + α Σ_{g<h} Σ_k (P_g(k) − P_h(k))²; Xu et al. 2023, for two groups. L_g is the mean loss of the batch's
    samples of group g and P_g(k) the mean probability of class k among them (softmax, or of several labels a sigmoid
    each). The authors' code counts the predicted classes instead, which has no gradient. With more than two groups it
    is the sum over pairs. A group absent from a batch has no term and keeps its statistics; batches hold two images of
    each group.

    The penalty asks for equal selection rates, whatever the groups' true classes are: where the class mix of the groups
    differs it pulls against accuracy.

    Decided here: images of unknown group are in no statistics and no loss; in training they are normalised as the
    largest group is. Where the group is not known afterwards, the probabilities are the means of those of all groups'
    forms of the network: that costs G passes and is an extension, the paper's method needs the group. Groups without a
    training image have no trained form: they are in no mean, and their images are taken as of unknown group.

    Images alike in everything but the group may be predicted otherwise.

    Example:
        A sample per group, losses 1 and 3, probabilities (.9, .1) and (.6, .4), α = 1: 1 + 3 + .3² + .3² = 4.18.
    """

    options_model: ClassVar[type[StrictModel]] = FairAdaBNOptions
    part_per_group: ClassVar[bool] = True
    tuned: ClassVar[TuningRanges] = MappingProxyType({"alpha": Range(0.1, 10.0)})

    def __init__(self, facts: TrainingFacts, options: Any) -> None:
        """Remembers which groups have a training image.

        Raises:
            ConfigError: none has.
        """
        super().__init__(facts, options)
        self._trained = trained_groups(facts, name="fairadabn")
        self._multi_label = facts.loss.task == "multi-label"

    def batches(self, groups: Groups) -> BatchWish:
        """Two images of every group in every batch, as one has no spread."""
        return BatchWish(min_per_group=2)

    def adapt(self, network: Network) -> Network:
        """Replaces every batch norm by one per group, each as the one there was.

        Raises:
            ConfigError: the network has no batch norms of the usual kind.
        """
        largest = int(self.facts.group_counts.argmax())
        with_group_norms(network, groups=len(self.facts.group_names), unknown_as=largest)
        return network

    def forward(self, network: Network, images: Tensor, groups: Tensor) -> tuple[Tensor | None, Tensor]:
        """The logits, each image normalised among those of its group."""
        with groups_of(network, groups):
            return super().forward(network, images, groups)

    def objective(self, losses: Tensor, batch: Batch, features: Tensor | None) -> Tensor:
        """The sum of the groups' mean losses and the weighted penalty, scalar."""
        sums, counts = group_sums(losses, batch.groups, count=len(self.facts.group_names))
        return (sums / counts.clamp(min=1.0)).sum() + self.options.alpha * self.disparity(batch.logits, batch.groups)

    def disparity(self, logits: Tensor, groups: Tensor) -> Tensor:
        """Σ_{g<h} Σ_k (P_g(k) − P_h(k))² of the groups present, scalar; 0 with one or none.

        Over n groups it is n Σ_g ‖P_g − P̄‖², with P̄ their plain mean.
        """
        chances = logits.sigmoid() if self._multi_label else logits.softmax(dim=1)
        members = membership(groups, count=len(self.facts.group_names))
        counts = members.sum(dim=1, keepdim=True)
        present = (counts > 0).to(chances.dtype)
        means = (members @ chances) / counts.clamp(min=1.0)
        centre = means.sum(dim=0) / present.sum().clamp(min=1.0)
        return present.sum() * (present * (means - centre).square()).sum()

    def predict(self, network: Network, images: Tensor, groups: Tensor | None) -> Tensor:
        """Logits of each image in its group's form, or of the mean over all forms where its group is not known."""
        if groups is None:
            return self._mean(network, network, images)
        groups = torch.where(self._trained.to(groups.device)[groups.clamp(min=0)], groups, -1)
        with groups_of(network, groups):
            logits = network(images).float()
        unknown = groups < 0
        if unknown.any():
            logits[unknown] = self._mean(network, network, images[unknown])
        return logits

    def without_groups(self, network: Network) -> Network:
        """A network whose probabilities are the means of those of all groups' forms; it takes as many passes."""
        forms = torch.nonzero(self._trained).flatten().tolist()
        return GroupMean(network, forms=forms, multi_label=self._multi_label)

    def _mean(self, network: Network, forward: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        forms = torch.nonzero(self._trained).flatten().tolist()
        return mean_of_forms(network, forward, images, forms=forms, multi_label=self._multi_label)


class GroupMean(Network):
    """A network with a form per group that gives the logits of its forms' mean probabilities.

    ``features`` are those of the largest group's form.
    """

    def __init__(self, network: Network, *, forms: Sequence[int], multi_label: bool) -> None:
        """Copies a network that ``FairAdaBN.adapt`` changed.

        Args:
            network: with batch norms per group.
            forms: numbers of the groups whose forms count.
            multi_label: whether probabilities are sigmoids, not a softmax.
        """
        copied = copy.deepcopy(network)
        classes, features = copied.classifier.weight.shape
        super().__init__(
            stem=copied.stem,
            blocks=copied.blocks,
            head=copied.head,
            dropout=copied.dropout.p,
            features=features,
            num_classes=classes,
        )
        self.hidden, self.classifier = copied.hidden, copied.classifier
        self.forms, self.multi_label = tuple(forms), multi_label
        self.train(network.training)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images to logits, (B, C), one pass per form."""
        return mean_of_forms(self, super().forward, images, forms=self.forms, multi_label=self.multi_label)


def mean_of_forms(
    network: Network, forward: Callable[[Tensor], Tensor], images: Tensor, *, forms: Sequence[int], multi_label: bool
) -> Tensor:
    """Logits float32 (B, C) whose probabilities are the means of those of the forms.

    log(1/G·Σ_g softmax(f_g)), or of several labels the logit of the mean sigmoid; both from logarithms, so that no
    probability becomes 0.
    """
    each: list[Tensor] = []
    for form in forms:
        with groups_of(network, form):
            each.append(forward(images).float())
    logits = torch.stack(each)
    if multi_label:
        return functional.logsigmoid(logits).logsumexp(dim=0) - functional.logsigmoid(-logits).logsumexp(dim=0)
    return logits.log_softmax(dim=2).logsumexp(dim=0) - math.log(len(each))
