"""What a mitigation is: hooks that the training loop calls, each of which may do nothing."""

# ruff: noqa: ARG002  (a hook that does nothing still names what it is given)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.config import StrictModel, parse
from mindgap.core.errors import ConfigError
from mindgap.core.groups import Groups
from mindgap.core.registry import Registry
from mindgap.space.network import Network
from mindgap.train.loss import AbstractLoss
from mindgap.train.own_figure import OwnFigure
from mindgap.train.tuning_range import TuningRanges


@dataclass(frozen=True, eq=False)
class AttributeFacts:
    """Another attribute whose groups a mitigation is to treat.

    Attributes:
        name: of the attribute.
        group_names: its groups, in the order of their numbers.
        group_counts: int64 (G,), training images per group.
    """

    name: str
    group_names: tuple[str, ...]
    group_counts: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TrainingFacts:
    """What a mitigation knows before training.

    Attributes:
        group_names: the G groups of the first attribute, in the order of their numbers.
        group_counts: int64 (G,), training images per group.
        num_classes: classes, or labels if multi-label.
        loss: the loss of the run; (logits, labels) → one value per sample.
        seed: of the run.
        more_attributes: further attributes, for a mitigation with ``several_attributes``; for others there is none.
        attribute: name of the first attribute; empty if it is not told.
    """

    group_names: tuple[str, ...]
    group_counts: NDArray[np.int64]
    num_classes: int
    loss: AbstractLoss
    seed: int = 0
    more_attributes: tuple[AttributeFacts, ...] = ()
    attribute: str = ""

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
        groups: int64 (B,), group numbers of the first attribute, -1 where unknown.
        positions: int64 (B,), positions into the training rows.
        logits: float32 (B, C), with their graph.
        step: number of the step since the start of training.
        epoch: number of the epoch, from 0.
        more_groups: int64 (B,) group numbers of each of ``TrainingFacts.more_attributes``.
    """

    images: Tensor
    labels: Tensor
    groups: Tensor
    positions: Tensor
    logits: Tensor
    step: int
    epoch: int
    more_groups: tuple[Tensor, ...] = ()


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
class LabelledRows:
    """Some rows of a store.

    Attributes:
        rows: int64 (n,), on the images' device.
        labels: int64 (n,) or float32 (n, L).
        groups: of the rows.
    """

    rows: Tensor
    labels: Tensor
    groups: Groups


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The images, for a mitigation's last step.

    Attributes:
        images: uint8 (N, S, S, 3), all images of the store.
        train: the training rows.
        validation: rows that may steer; None where all that are held out are judged, as in cross-validation.
        mean: channel means the network expects.
        std: channel standard deviations the network expects.
    """

    images: Tensor
    train: LabelledRows
    validation: LabelledRows | None
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
        needs_teacher: whether a plain network is trained first, in the same way, and given to ``take_teacher``.
        several_attributes: whether it treats more attributes than one at once.
        part_per_group: whether a part of the network is trained on each group's images alone, so that batches without
            a group that has training images would leave its part as it was.
        passes_per_image: images passed through a network, per image of a batch.
        tuned: the few options of its own that a comparison of methods tunes, in their ranges; defaults are tried first.
        searchable: whether a search that decides about the loss (``--space full``) offers it without being told.
    """

    options_model: ClassVar[type[StrictModel]] = NoOptions
    needs_features: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False
    several_attributes: ClassVar[bool] = False
    part_per_group: ClassVar[bool] = False
    passes_per_image: ClassVar[float] = 1.0
    tuned: ClassVar[TuningRanges] = MappingProxyType({})
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

    def take_teacher(self, teacher: Network) -> None:
        """Takes the trained plain network, if ``needs_teacher``; it is on the run's device and is not trained again."""

    def forward(self, network: Network, images: Tensor, groups: Tensor) -> tuple[Tensor | None, Tensor]:
        """A training batch through the network; ``predict`` is what is done afterwards.

        Args:
            network: the adapted network, in training mode.
            images: (B, 3, H, W), augmented and normalised.
            groups: int64 (B,), -1 where unknown.

        Returns:
            Penultimate features float32 (B, F) if ``needs_features``, else None, and logits (B, C).
        """
        if not self.needs_features:
            return None, network(images)
        features = network.features(images).float()
        return features, network.classifier(network.dropout(features))

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

    def without_groups(self, network: Network) -> Network:
        """A network, ready to predict alone, that gives what ``predict`` gives where no group is known."""
        return network

    @classmethod
    def predicts_by_network_alone(cls) -> bool:
        """Whether a trained network can be used without the mitigation: ``predict`` is the one above."""
        return cls.predict is AbstractMitigation.predict

    def own_figures(self) -> tuple[OwnFigure, ...]:
        """What it measured itself, asked for once after training, also of a run that was resumed; it is reported.

        What an epoch's steps add up to belongs on the device and into ``state_dict``: no step may wait for it.
        """
        return ()

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


def refuse_several_attributes(name: str, attributes: Sequence[str]) -> None:
    """Refuses more than one attribute for a mitigation that treats one.

    Raises:
        ConfigError: it does.
        UnknownNameError: no mitigation has the name.
    """
    if len(attributes) > 1 and not MITIGATIONS.get(name).several_attributes:
        able = [other for other in MITIGATIONS.names() if MITIGATIONS.get(other).several_attributes]
        raise ConfigError(
            f"mitigation {name!r} treats one attribute, got {','.join(attributes)}; give one, their intersection "
            f"{'*'.join(attributes)} if the store has it" + (f", or take {', '.join(able)}" if able else "")
        )


def group_sums(values: Tensor, groups: Tensor, *, count: int) -> tuple[Tensor, Tensor]:
    """Sum of values and number of samples of each group, float32 (count,); samples with group -1 are in neither.

    Works without waiting for the device: absent groups have 0 samples.
    """
    member = groups[None, :] == torch.arange(count, device=groups.device)[:, None]
    return torch.where(member, values[None, :], 0.0).sum(dim=1), member.sum(dim=1).to(values.dtype)
