"""Features like those of a plain teacher, whatever the group."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from mindgap.core.config import StrictModel
from mindgap.space.network import Network
from mindgap.train.feature_matching import membership, squared_distances
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, Batch, TrainingFacts
from mindgap.train.tuning_range import Range, TuningRanges

_LEAST_SPREAD = 1e-9
"""A mean squared distance below it is rounding: all features are the same."""


class MfdOptions(StrictModel):
    """Options of the distillation term.

    Attributes:
        strength: λ, twice the weight of the sum over classes and groups beside the mean loss. The authors' code takes
            3 for UTKFace and CIFAR-10 and 7 for CelebA, a later one 100.
    """

    strength: float = Field(default=3.0, gt=0, le=1e6)


@MITIGATIONS.register("mfd")
class FairFeatureDistillation(AbstractMitigation):
    """Adds (λ/2) Σ_k Σ_g MMD²(z_T | y=k, z_S | y=k, a=g): each group's features z_S resemble a teacher's of all groups.

    MFD, Jung et al. 2021. The teacher is a plain network of the same architecture, trained first in the same way; it
    sees the same augmented images, in evaluation mode, and is not trained further. z are penultimate features, and

    MMD² = mean k(z_T, z_T') + mean k(z_S, z_S') − 2 mean k(z_T, z_S), k(u, v) = exp(−‖u − v‖²/(2s)),

    with pairs of a sample with itself, as in the authors' code: it is at least 0 and exists for one sample. s is the
    mean of ‖z_T − z_S‖² over all pairs of the batch, held constant in the gradient.

    A group without a sample of the class in the batch has no term. Samples whose group is unknown are among the
    teacher's, but not the student's. With several attributes the terms of all are summed. Multi-label: each label is a
    class that holds the samples in which it is 1.

    The teacher computes in bfloat16 where the batch's images are, else in float32. It does not promise smaller gaps
    than the teacher's: what is wrong in the teacher's features of a whole class is learnt by every group.

    Example:
        One class, teacher's features 0 and 2, student's 1 and 1, in groups a and b: s = 1, and for each group
        (1 + e^−2)/2 + 1 − 2e^−½ = 0.3546; λ = 3 adds 1.5·2·0.3546 = 1.0638.
    """

    options_model: ClassVar[type[StrictModel]] = MfdOptions
    needs_features: ClassVar[bool] = True
    needs_teacher: ClassVar[bool] = True
    several_attributes: ClassVar[bool] = True
    passes_per_image: ClassVar[float] = 2.0
    tuned: ClassVar[TuningRanges] = MappingProxyType({"strength": Range(1.0, 100.0)})

    def __init__(self, facts: TrainingFacts, options: Any) -> None:
        super().__init__(facts, options)
        self._teacher: Network | None = None

    def take_teacher(self, teacher: Network) -> None:
        """Keeps the teacher; it is not part of the state, as the run keeps it beside its checkpoint."""
        self._teacher = teacher

    def objective(self, losses: Tensor, batch: Batch, features: Tensor | None) -> Tensor:
        """Mean loss and the weighted term, scalar."""
        assert features is not None  # noqa: S101  (the loop gives what needs_features asks for)
        distances = self.discrepancies(batch, self.taught(batch.images), features)
        return losses.mean() + 0.5 * self.options.strength * distances.sum()

    def taught(self, images: Tensor) -> Tensor:
        """The teacher's features of a batch's images, float32 (B, F), without a graph."""
        assert self._teacher is not None  # noqa: S101  (the loop gives it before the first step)
        narrow = images.dtype == torch.bfloat16
        with torch.no_grad(), torch.autocast(images.device.type, torch.bfloat16, enabled=narrow):
            return self._teacher.features(images).float()

    def discrepancies(self, batch: Batch, taught: Tensor, learnt: Tensor) -> Tensor:
        """MMD² of every class and group of every attribute, (C·ΣG,), those of a class one after the other.

        Args:
            batch: for its labels and groups.
            taught: float32 (B, F), the teacher's features.
            learnt: float32 (B, F), the student's.
        """
        members = membership(batch.labels, count=self.facts.num_classes)
        counts = [
            len(names) for names in (self.facts.group_names, *(of.group_names for of in self.facts.more_attributes))
        ]
        every = zip((batch.groups, *batch.more_groups), counts, strict=True)
        of_groups = torch.cat([membership(groups, count=count) for groups, count in every])
        cells = members[:, None] * of_groups
        return squared_mmd(taught, learnt, members[:, None].expand_as(cells).flatten(0, 1), cells.flatten(0, 1))


def squared_mmd(taught: Tensor, learnt: Tensor, taught_members: Tensor, learnt_members: Tensor) -> Tensor:
    """MMD² between subsets of two sets of features, under one Gaussian kernel.

    Args:
        taught: float32 (B, F), without a graph.
        learnt: float32 (B, F).
        taught_members: float32 (N, B), 1 where a row of ``taught`` is compared.
        learnt_members: float32 (N, B), 1 where a row of ``learnt`` is.

    Returns:
        Float32 (N,), 0 where a subset is empty.
    """
    distances = squared_distances(torch.cat((taught, learnt)))
    spread = distances[: len(taught), len(taught) :].detach().mean()
    kernel = torch.exp(distances / (-2.0 * spread.clamp(min=_LEAST_SPREAD)))
    sizes = torch.stack((taught_members.sum(dim=1), learnt_members.sum(dim=1)))
    shares = [
        members / size.clamp(min=1.0)[:, None]
        for members, size in zip((taught_members, learnt_members), sizes, strict=True)
    ]
    weights = torch.cat((shares[0], -shares[1]), dim=1)
    return torch.where((sizes > 0).all(dim=0), ((weights @ kernel) * weights).sum(dim=1), 0.0)
