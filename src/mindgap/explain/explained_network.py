"""A network with what is needed to ask it where it looks on a store's images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mindgap.data.augment import normalize
from mindgap.data.classifier_facts import ClassifierFacts
from mindgap.data.image_store import Store
from mindgap.explain.explainer import AbstractExplainer
from mindgap.explain.layer_maps import layer_maps
from mindgap.space.network import Network


@dataclass(frozen=True, eq=False)
class ExplainedNetwork:
    """A network on its device, an explainer, and how the store's classes lie among the network's outputs.

    Attributes:
        network: in evaluation mode.
        explainer: the kind of map.
        facts: which images the network takes, and what its outputs mean.
        outputs: int64 (C,), the network's output of each class of the store.
    """

    network: Network
    explainer: AbstractExplainer
    facts: ClassifierFacts
    outputs: Tensor

    @staticmethod
    def of(
        network: Network,
        explainer: AbstractExplainer,
        *,
        facts: ClassifierFacts,
        classes: Sequence[str],
        device: torch.device,
    ) -> ExplainedNetwork:
        """Puts the network on the device; the classes are the facts' own in the store's order."""
        outputs = torch.tensor([facts.classes.index(name) for name in classes], device=device)
        return ExplainedNetwork(network.eval().to(device), explainer, facts, outputs)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.outputs.device

    def batch(self, store: Store, rows: Tensor) -> Tensor:
        """Some rows' images, normalised float32 (n, 3, S, S) on the device."""
        pixels = store.image_tensor().index_select(0, rows).to(self.device)
        return normalize(pixels, mean=self.facts.mean, std=self.facts.std)

    def probabilities(self, images: Tensor) -> Tensor:
        """Float64 (n, C) in the store's order of the classes: a softmax, or of several labels a sigmoid each."""
        with torch.no_grad():
            logits = self.network(images).double()
        chances = logits.sigmoid() if self.facts.task == "multi-label" else logits.softmax(dim=1)
        return chances.index_select(1, self.outputs)

    def maps(self, images: Tensor, targets: Tensor) -> Tensor:
        """The explainer's maps, (n, h, w), of targets int64 (n,) in the store's order of the classes."""
        return self.explainer.maps(self.network, images, self.outputs[targets.to(self.device)])

    def channel_maps(self, images: Tensor) -> Tensor:
        """The output of the explained layer, (n, C, h, w)."""
        return layer_maps(self.network, images, layer=self.explainer.layer)
