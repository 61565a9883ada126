"""A network with everything around it that its user could get wrong: from pixels to probabilities."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mindgap.data.classifier_facts import ClassifierFacts
from mindgap.space.network import Network
from mindgap.train.inference import fold_batch_norms


class ImageClassifier(nn.Module):
    """Normalises, predicts, and turns logits into probabilities; batch norms are folded into the convolutions.

    The scaling of the pixels and the softmax are part of it, so that whoever runs the exported file needs to know
    neither mean and standard deviation nor the task.
    """

    def __init__(self, network: Network, facts: ClassifierFacts) -> None:
        """Copies the network, in evaluation mode on the CPU."""
        super().__init__()
        folded = fold_batch_norms(network).cpu()
        for name, module in list(folded.named_children()):
            if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size == 1:
                setattr(folded, name, _MapMean())
        self.network = folded
        self.multi_label = facts.task == "multi-label"
        mean, std = torch.tensor(facts.mean), torch.tensor(facts.std)
        self.register_buffer("gain", 1.0 / (255.0 * std))
        self.register_buffer("offset", -mean / std)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (B, S, S, 3), RGB, to probabilities, float32 (B, C)."""
        scaled = images.to(torch.float32) * self.get_buffer("gain") + self.get_buffer("offset")
        logits = self.network(scaled.permute(0, 3, 1, 2))
        return logits.sigmoid() if self.multi_label else logits.softmax(dim=1)


class _MapMean(nn.Module):
    """The average over the map as one operation; the exporter takes adaptive pooling apart into nine."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean(dim=(2, 3), keepdim=True)
