"""One classifier per group on shared features."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mindgap.space.network import Network
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, TrainingFacts
from mindgap.train.trained_groups import trained_groups


@MITIGATIONS.register("domainindep")
class DomainIndependent(AbstractMitigation):
    """Gives every group a classifier of its own, f_g, on features that all share, trained on the group's own images.

    Wang et al. 2020, "domain independent": G·C outputs; the loss of an image of group a is that of its own block f_a(x)
    (softmax inside the block, or of several labels a sigmoid each). All blocks start as the plain classifier.

    Where the group is known an image is predicted by its block; where it is not, by Σ_g f_{g,k}, as in the paper, which
    is one linear classifier with the sum of the blocks' weights. Sums of G logits make probabilities more extreme than
    those of one block: what is predicted is the paper's, how sure it looks is not calibrated.

    Decided here: an image of unknown group is trained by that sum too. Groups without a training image have no trained
    block: they are in no sum, and their images are taken as of unknown group.

    It does not promise smaller gaps: a small group's classifier is trained on few images, and nothing keeps the groups'
    errors alike. Images alike in everything but the group may be predicted otherwise.

    Example:
        Two groups, two classes, outputs (1, 0 | 0, 3): an image of the first group has logits (1, 0), one of the second
        (0, 3), one of neither (1, 3).
    """

    part_per_group: ClassVar[bool] = True

    def __init__(self, facts: TrainingFacts, options: Any) -> None:
        """Remembers which groups have a training image.

        Raises:
            ConfigError: none has.
        """
        super().__init__(facts, options)
        self._trained = trained_groups(facts, name="domainindep")

    def adapt(self, network: Network) -> Network:
        """Replaces the classifier by one of G·C outputs, a block per group, each as the one there was."""
        plain, groups = network.classifier, len(self.facts.group_names)
        network.classifier = _linear(plain.weight.repeat(groups, 1), plain.bias.repeat(groups))
        return network

    def forward(self, network: Network, images: Tensor, groups: Tensor) -> tuple[Tensor | None, Tensor]:
        """The logits of each image's own block, (B, C), or of the sum where its group is unknown."""
        return None, self.chosen(network(images), groups)

    def predict(self, network: Network, images: Tensor, groups: Tensor | None) -> Tensor:
        """The logits of each image's own block, (B, C), or of the sum where its group is unknown or not to be used."""
        if groups is None:
            groups = torch.full((len(images),), -1, device=images.device)
        return self.chosen(network(images), groups)

    def chosen(self, outputs: Tensor, groups: Tensor) -> Tensor:
        """Logits (B, C) of outputs (B, G·C) by group numbers, int64 (B,), -1 where unknown."""
        blocks = outputs.unflatten(1, (len(self.facts.group_names), -1))
        self._trained = trained = self._trained.to(groups.device)
        own = torch.take_along_dim(blocks, groups.clamp(min=0)[:, None, None], dim=1).squeeze(1)
        known = (groups >= 0) & trained[groups.clamp(min=0)]
        return torch.where(known[:, None], own, (blocks * trained[:, None]).sum(dim=1))

    def without_groups(self, network: Network) -> Network:
        """A plain network: its classifier has the sums of the blocks' weights and biases."""
        plain = copy.deepcopy(network)
        trained = self._trained.to(plain.classifier.weight.device)
        with torch.no_grad():
            weight, bias = (
                of.unflatten(0, (len(trained), -1))[trained].sum(dim=0)
                for of in (plain.classifier.weight, plain.classifier.bias)
            )
        plain.classifier = _linear(weight, bias).train(network.training)
        return plain


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    outputs, features = weight.shape
    layer = nn.Linear(features, outputs, device=weight.device, dtype=weight.dtype)
    layer.weight, layer.bias = (nn.Parameter(of.detach().clone()) for of in (weight, bias))
    return layer
