"""One batch of unequal groups and a network for it, for the conformance kit of mitigations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from mindgap.core.groups import Groups
from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.network import Network
from mindgap.testing.tiny_store import SIZE_PX as STORE_PX
from mindgap.train.loop import OnEpoch, TrainResult, TrainSettings, train_network
from mindgap.train.loss import LOSSES
from mindgap.train.mitigation import LabelledRows, TrainingData, TrainingFacts

SIZE_PX, CLASSES = 16, 3
GROUPS = (0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, -1)
LABELS = tuple(row % CLASSES for row in range(len(GROUPS)))


def tiny_groups() -> Groups:
    """Six images of one group, three and two of the others, one of none."""
    return Groups("sex", ("a", "b", "c"), np.array(GROUPS))


def tiny_facts() -> TrainingFacts:
    """What a mitigation is told of them."""
    groups = tiny_groups()
    return TrainingFacts(groups.names, groups.counts(), num_classes=CLASSES, loss=LOSSES.get("ce")())


def tiny_network(*, seed: int = 0) -> Network:
    """A network of one block, the same weights for the same seed."""
    architecture = Architecture(
        name="tiny",
        input_px=SIZE_PX,
        num_classes=CLASSES,
        stem=Stem(channels=4),
        blocks=(BlockSpec(type="cb", out_channels=4, choices={"kernel": 3, "hidden_channels": 4}),),
        head=Head(width=8),
    )
    return architecture.build(seed=seed)


def tiny_images() -> torch.Tensor:
    """Float32 (12, 3, 16, 16), normalised noise, the same each time."""
    return torch.randn(len(GROUPS), 3, SIZE_PX, SIZE_PX, generator=torch.Generator().manual_seed(0))


def tiny_data() -> TrainingData:
    """The same images as a store keeps them, all of them for training and all for validation."""
    half = (0.5, 0.5, 0.5)
    pixels = (255 * (tiny_images() / 2 + 0.5).clamp(0, 1)).to(torch.uint8).permute(0, 2, 3, 1)
    rows = torch.arange(len(GROUPS))
    every = LabelledRows(rows, torch.tensor(LABELS), tiny_groups())
    return TrainingData(pixels, every, every, mean=half, std=half)


SMALL = Architecture(
    name="small",
    input_px=STORE_PX,
    num_classes=2,
    stem=Stem(channels=8),
    blocks=(BlockSpec(type="rb", out_channels=16, choices={"kernel": 3, "hidden_channels": 8}),),
    head=Head(width=16),
)
"""A network that learns what the images of ``write_tiny_store`` show in a few epochs."""


def train_small(
    store: Store,
    mitigation: str,
    *,
    folder: Path | None = None,
    on_epoch: OnEpoch | None = None,
    **options: Any,
) -> TrainResult:
    """Trains ``SMALL`` on a tiny store's groups of ``sex``; ``options`` are of ``TrainSettings``."""
    settings = {"epochs": 3, "batch_size": 48, "precision": "fp32", "lr": 0.01, "mitigation": mitigation} | options
    return train_network(
        SMALL.build(seed=1),
        store,
        train_rows=store.rows("train"),
        groups=store.groups("sex"),
        settings=TrainSettings(**settings),
        architecture=SMALL,
        checkpoint_dir=folder,
        on_epoch=on_epoch,
    )
