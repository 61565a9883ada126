"""A network of which each channel serves one of two groups, and images for it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mindgap.core.groups import Groups
from mindgap.space.architecture import Architecture, Head, Stem
from mindgap.space.network import Network
from mindgap.train.loss import make_loss
from mindgap.train.mitigation import AbstractMitigation, LabelledRows, TrainingData, TrainingFacts, make_mitigation

PX = 8


def data_of(pixels: Tensor, labels: Tensor, ids: ArrayLike, *, names: tuple[str, ...] = ("a", "b")) -> TrainingData:
    """Pixels uint8 (n, 8, 8, 3), normalised to 0..1, all of them for training and all for validation."""
    rows = LabelledRows(torch.arange(len(pixels)), labels, Groups("sex", names, np.asarray(ids)))
    return TrainingData(pixels, rows, rows, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def made_for(data: TrainingData, name: str, **options: object) -> AbstractMitigation:
    """A mitigation for the training rows of such data, of two classes or labels."""
    groups, task = data.train.groups, "single-label" if data.train.labels.ndim == 1 else "multi-label"
    loss = make_loss(None, task=task)
    facts = TrainingFacts(groups.names, groups.counts(), num_classes=2, loss=loss)
    return make_mitigation(name, facts, options)


def two_channels() -> tuple[Network, TrainingData]:
    """A network whose red channel serves group a alone and whose green one group b, and 60 images of each.

    An image of a is grey 64 or 192 in red by its class, one of b in green; every 10th label of b is wrong, so that a is
    better off. Of 58 weights 6 are not zero.
    """
    ids = np.arange(120) % 2
    labels = torch.arange(120) // 2 % 2
    pixels = torch.zeros(120, PX, PX, 3, dtype=torch.uint8)
    for row in range(120):
        pixels[row, ..., int(ids[row])] = 64 if labels[row] == 0 else 192
    labels[1::20] = 1 - labels[1::20]
    architecture = Architecture(
        name="two", input_px=PX, num_classes=2, stem=Stem(channels=2), blocks=(), head=Head(width=None)
    )
    network = architecture.build(seed=0)
    with torch.no_grad():
        convolution = network.get_parameter("stem.conv.weight").zero_()
        for channel in (0, 1):
            convolution[channel, channel, 1, 1] = 2.0
        network.classifier.weight.copy_(torch.tensor([[-4.0, -4.0], [4.0, 4.0]]))
        network.classifier.bias.copy_(torch.tensor([4.0, -4.0]))
    return network, data_of(pixels, labels, ids)


def accuracies(network: Network, data: TrainingData) -> list[float]:
    """Of groups a and b, on all images."""
    images = data.images.permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        right = (network.eval()(images).argmax(dim=1) == data.train.labels).double()
    return [float(right[torch.from_numpy(data.train.groups.ids == group)].mean()) for group in (0, 1)]
