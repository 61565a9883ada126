"""Losses and groups as a mitigation's objective takes them, without a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mindgap.train.loss import LOSSES
from mindgap.train.mitigation import AbstractMitigation, Batch, TrainingFacts, make_mitigation


def facts(*counts: int) -> TrainingFacts:
    """Groups ``g0``, ``g1`` … of so many training images."""
    names = tuple(f"g{number}" for number in range(len(counts)))
    return TrainingFacts(names, np.array(counts, dtype=np.int64), num_classes=2, loss=LOSSES.get("ce")())


def made(name: str, *counts: int, **options: object) -> AbstractMitigation:
    """A mitigation for groups of so many training images."""
    return make_mitigation(name, facts(*counts), options)


def objective_of(
    mitigation: AbstractMitigation, losses: Sequence[float], groups: Sequence[int]
) -> tuple[float, list[float]]:
    """The objective of samples with these losses, and its gradient by each of them."""
    values = torch.tensor(losses, dtype=torch.float64, requires_grad=True)
    size = len(losses)
    batch = Batch(
        images=torch.zeros(size, 3, 1, 1),
        labels=torch.zeros(size, dtype=torch.int64),
        groups=torch.tensor(groups),
        positions=torch.arange(size),
        logits=torch.zeros(size, 2),
        step=0,
        epoch=0,
    )
    found = mitigation.objective(values, batch, None)
    (gradient,) = torch.autograd.grad(found, values)
    return found.item(), gradient.tolist()
