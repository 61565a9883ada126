"""The built network, and the reference networks by name."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from mindgap.core.registry import Registry
from mindgap.space.architecture import Architecture, read_architecture
from mindgap.space.timm_backbone import TIMM_PREFIX, backbone_architecture


class Network(nn.Module):
    """A classifier: stem, blocks, head convolution, average over the map, hidden layer, dropout, linear classifier.

    Attributes:
        stem: first layers.
        blocks: the blocks in order, ``nn.Sequential``.
        head: head convolution unit or identity.
        pool: average over the map.
        hidden: a linear layer and ReLU, or identity.
        dropout: dropout before the classifier.
        classifier: linear layer from F features to C logits.
    """

    def __init__(
        self,
        *,
        stem: nn.Module,
        blocks: nn.Sequential,
        head: nn.Module,
        dropout: float,
        features: int,
        num_classes: int,
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = blocks
        self.head = head
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.hidden = nn.Identity() if hidden is None else nn.Sequential(nn.Linear(features, hidden), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(features if hidden is None else hidden, num_classes)

    @property
    def map_channels(self) -> int:
        """Channels of the last maps, which are F where there is no hidden layer."""
        layers = (*self.hidden.modules(), self.classifier)
        return next(layer for layer in layers if isinstance(layer, nn.Linear)).in_features

    def feature_maps(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images to the last maps, (B, F, h, w)."""
        return self.head(self.blocks(self.stem(images)))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images to the penultimate features, (B, F)."""
        return self.hidden(self.pool(self.feature_maps(images)).flatten(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) normalised images to logits, (B, C)."""
        return self.classifier(self.dropout(self.features(images)))


class ReferenceNetwork(Protocol):
    """A function that describes a named network for a task."""

    def __call__(self, *, num_classes: int, input_px: int) -> Architecture:
        """The architecture for that many classes and square images of that many pixels."""
        ...


NETWORKS: Registry[ReferenceNetwork] = Registry("networks", package="mindgap.space.networks")


def resolve_network(name_or_path: str | Path, *, num_classes: int, input_px: int) -> Architecture:
    """The architecture of a registered name, of ``timm:NAME``, or of an ``architecture.json`` (or its folder).

    A file's architecture is taken over for this number of classes and this image size.

    Raises:
        UnknownNameError: no network has the name.
        DataError: the file is missing or damaged.
        CapacityError: timm is not installed.
        ConfigError: timm's network gives no maps.
    """
    if str(name_or_path).startswith(TIMM_PREFIX):
        name = str(name_or_path).removeprefix(TIMM_PREFIX)
        return backbone_architecture(name, num_classes=num_classes, input_px=input_px)
    path = Path(name_or_path)
    if path.is_dir() and (path / "architecture.json").exists():
        path /= "architecture.json"
    if path.suffix == ".json":
        return read_architecture(path).for_task(num_classes=num_classes, input_px=input_px)
    return NETWORKS.get(str(name_or_path))(num_classes=num_classes, input_px=input_px)
