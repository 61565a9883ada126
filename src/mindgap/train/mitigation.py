"""What a mitigation is: hooks that the training loop calls, each of which may do nothing."""

# ruff: noqa: ARG002  (a hook that does nothing still names what it is given)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.config import StrictModel, parse
from mindgap.core.groups import Groups
from mindgap.core.registry import Registry
from mindgap.space.network import Network
from mindgap.train.loss import AbstractLoss


@dataclass(frozen=True, eq=False)
class TrainingFacts:
    """What a mitigation knows before training.

    Attributes:
        group_names: the G groups, in the order of their numbers.
        group_counts: int64 (G,), training images per group.
        num_classes: classes, or labels if multi-label.
        loss: the loss of the run; (logits, labels) → one value per sample.
        seed: of the run.
    """

    group_names: tuple[str, ...]
    group_counts: NDArray[np.int64]
    num_classes: int
    loss: AbstractLoss
    seed: int = 0

    @property
    def group_shares(self) -> NDArray[np.float64]:
        """Float64 (G,), share of each group among the training images whose group is known."""
        return self.group_counts / max(1, self.group_counts.sum())


@dataclass(frozen=True, eq=False)
class Batch:
    """One batch as the loop sees it.

    Attributes:
        images: (B, 3, H, W), augmented, normalised, channels_last.
        labels: int64 (B,) or float32 (B, L).
        groups: int64 (B,), group numbers, -1 where unknown.
        positions: int64 (B,), positions into the training rows.
        logits: float32 (B, C), with their graph.
        step: number of the step since the start of training.
        epoch: number of the epoch, from 0.
    """

    images: Tensor
    labels: Tensor
    groups: Tensor
    positions: Tensor
    logits: Tensor
    step: int
    epoch: int


@dataclass(frozen=True)
class BatchWish:
    """What a mitigation asks of the batches.

    Attributes:
        ratios: float64 (G,), share of each group; None leaves the run's own.
        min_per_group: least images of every group in every batch.
    """

    ratios: NDArray[np.float64] | None = None
    min_per_group: int = 0


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The training images, for a mitigation's last step.

    Attributes:
        images: uint8 (N, S, S, 3), all images of the store.
        rows: int64 (n,), the training rows.
        labels: int64 (n,) or float32 (n, L), of the training rows.
        groups: of the training rows.
        mean: channel means the network expects.
        std: channel standard deviations the network expects.
    """

    images: Tensor
    rows: Tensor
    labels: Tensor
    groups: Groups
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class NoOptions(StrictModel):
    """A mitigation without options."""


class AbstractMitigation:
    """One in-training mitigation of gaps between groups; a new one is one file with ``@MITIGATIONS.register("name")``.

    Every hook may be left out. The loop knows the hooks and no names.

    Attributes:
        options_model: the options the mitigation takes.
        needs_features: whether ``objective`` is given the penultimate features; otherwise it gets None.
        searchable: whether a search that decides about the loss (``--space full``) offers it without being told.
    """

    options_model: ClassVar[type[StrictModel]] = NoOptions
    needs_features: ClassVar[bool] = False
    searchable: ClassVar[bool] = False

    def __init__(self, facts: TrainingFacts, options: Any) -> None:
        """Remembers the facts and the options, an ``options_model``."""
        self.facts = facts
        self.options = options

    def batches(self, groups: Groups) -> BatchWish:
        """What the batches must hold; ``groups`` are those of the training rows."""
        return BatchWish()

    def adapt(self, network: Network) -> Network:
        """Changes the network before training, in place or by another one; its parameters are then optimised."""
        return network

    def objective(self, losses: Tensor, batch: Batch, features: Tensor | None) -> Tensor:
        """The scalar that is minimised.

        Args:
            losses: float32 (B,), the loss of every sample.
            batch: the batch.
            features: float (B, F) penultimate features if ``needs_features``, else None.
        """
        return losses.mean()

    def after_backward(self, network: Network, batch: Batch) -> None:
        """Edits gradients, between the backward pass and the optimiser's step."""

    def extra_step(self, batch: Batch) -> None:
        """Work of its own after the optimiser's step, such as training an adversary."""

    def finish(self, network: Network, data: TrainingData) -> None:
        """Changes the network after the last epoch, in place."""

    def predict(self, network: Network, images: Tensor, groups: Tensor | None) -> Tensor:
        """Logits (B, C) of normalised images; ``groups`` int64 (B,), -1 unknown, or None if not to be used."""
        return network(images)

    @classmethod
    def predicts_by_network_alone(cls) -> bool:
        """Whether a trained network can be used without the mitigation: ``predict`` is the one above."""
        return cls.predict is AbstractMitigation.predict

    def state_dict(self) -> dict[str, Any]:
        """The state to save: tensors, numbers, text, lists and dicts of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back what ``state_dict`` gave."""


MITIGATIONS: Registry[type[AbstractMitigation]] = Registry("mitigations", package="mindgap.train.mitigations")


def make_mitigation(name: str, facts: TrainingFacts, options: Mapping[str, Any] | None = None) -> AbstractMitigation:
    """The mitigation of that name with its options.

    Raises:
        UnknownNameError: no mitigation has the name.
        ConfigError: an option is unknown or does not fit.
    """
    kind = MITIGATIONS.get(name)
    return kind(facts, parse(kind.options_model, options or {}, source=f"mitigation {name}"))


def group_sums(values: Tensor, groups: Tensor, *, count: int) -> tuple[Tensor, Tensor]:
    """Sum of values and number of samples of each group, float32 (count,); samples with group -1 are in neither.

    Works without waiting for the device: absent groups have 0 samples.
    """
    member = groups[None, :] == torch.arange(count, device=groups.device)[:, None]
    return torch.where(member, values[None, :], 0.0).sum(dim=1), member.sum(dim=1).to(values.dtype)
