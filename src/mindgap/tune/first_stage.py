"""A hidden head trained for accuracy on cached features, from which a tuning starts."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mindgap.core.errors import TrainingFailure

LEARNING_RATE, BATCH, EPOCHS, DROPOUT = 1e-4, 32, 50, 0.5


@dataclass(frozen=True, eq=False)
class LabelledFeatures:
    """Features, float32 (n, F), and what is known of them, on one device.

    Attributes:
        features: float32 (n, F).
        labels: int64 (n,) classes, or float32 (n, L) of 0 and 1 where a label is an output of its own.
    """

    features: Tensor
    labels: Tensor

    def loss(self, logits: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """Mean cross-entropy of logits (n', C) for these rows; binary where labels are outputs of their own."""
        labels = self.labels[rows]
        if labels.ndim == 2:
            return functional.binary_cross_entropy_with_logits(logits, labels)
        return functional.cross_entropy(logits, labels)


def train_hidden_head(
    train: LabelledFeatures,
    judged: LabelledFeatures,
    *,
    hidden: int,
    outputs: int,
    seed: int,
    epochs: int = EPOCHS,
    on_epoch: Callable[[int], None] = lambda _: None,
) -> nn.Sequential:
    """FC → ReLU → dropout → FC, trained for accuracy by the mean of all labels' losses (Blanzeisky & Cunningham, §3).

    Adam at 1e-4, batches of 32, dropout .5; of all epochs the one with the least loss on the rows that are judged is
    kept. The backbone takes no part: its features are given.

    Args:
        train: rows to train on.
        judged: rows by which the epoch is chosen, such as those that heads are tuned on.
        hidden: units of the hidden layer.
        outputs: logits.
        seed: of the first weights, of the order of the rows and of dropout.
        epochs: how often all rows are seen.
        on_epoch: told the number of every epoch that is done, from 1.

    Returns:
        In evaluation mode, on the features' device.

    Raises:
        TrainingFailure: the loss was finite in no epoch.
    """
    device = train.features.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        head = nn.Sequential(
            nn.Linear(train.features.shape[1], hidden), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(hidden, outputs)
        ).to(device)
        optimizer = torch.optim.Adam(head.parameters(), lr=LEARNING_RATE)
        best, kept = math.inf, deepcopy(head)
        for epoch in range(1, epochs + 1):
            head.train()
            for rows in torch.randperm(len(train.features), device=device).split(BATCH):
                optimizer.zero_grad()
                train.loss(head(train.features[rows]), rows).backward()
                optimizer.step()
            head.eval()
            with torch.no_grad():
                loss = float(judged.loss(head(judged.features)))
            if loss < best:
                best, kept = loss, deepcopy(head)
            on_epoch(epoch)
    if best == math.inf:
        raise TrainingFailure("the hidden head's loss was finite in no epoch; look at the network's features")
    return kept.eval()
