"""Features independent of the group within each class, by the Hilbert-Schmidt independence criterion."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from mindgap.core.config import StrictModel
from mindgap.train.feature_matching import membership, squared_distances
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation, Batch
from mindgap.train.tuning_range import Range, TuningRanges

_LEAST_NORM, _LEAST_SPREAD = 1e-6, 1e-6
"""Below them a feature vector has no direction, and the distances of a class are rounding."""


class HsicOptions(StrictModel):
    """Options of the independence term.

    Attributes:
        strength: λ, the weight of the sum over classes beside the mean loss. Public code takes 100 with a fixed kernel
            width, about 40 here. With many small classes, whose estimates are mostly noise, that drowns the loss.
    """

    strength: float = Field(default=1.0, gt=0, le=1e6)


@MITIGATIONS.register("hsic")
class FeatureIndependence(AbstractMitigation):
    """Adds λ Σ_k HSIC_u(z | y=k, a | y=k), the dependence of the penultimate features z on the group a within class k.

    HSIC_u = [tr(K̃L̃) + (1ᵀK̃1)(1ᵀL̃1)/((m−1)(m−2)) − 2/(m−2)·1ᵀK̃L̃1] / (m(m−3)), with K̃ and L̃ the kernel matrices of
    features and groups without their diagonals and m the samples of the class: the unbiased estimate of Song et al.
    2012. Quadrianto et al. 2019 use HSIC for fair representations, Jung et al. 2022 within each class, as here.

    K is exp(−γd²) of the features scaled to length 1, with γ = 1/(2·mean d²) over the pairs of different samples of the
    class, held constant in the gradient. L is 1 for two samples of one group and 0 otherwise; a Gaussian kernel of the
    one-hot groups, as in public code, multiplies HSIC_u by a constant below 1 and changes nothing else.

    Samples whose group is unknown are left out; a class with fewer than 4 others, or with one group, has no term. With
    several attributes the terms of all are summed. Multi-label: each label is a class that holds the samples in which
    it is 1, so gaps among images without it are not treated.

    It does not promise equal errors: features independent of the group within every class make them equal in the
    population, but a batch of few samples of a group says little about them, and the estimate may fall below 0.

    Example:
        Four samples of one class, groups a, a, b, b, features (1, 0), (1, 0), (0, 1), (0, 1): mean d² is 8·2/12 = 4/3,
        γ = 3/8, K of two groups c = exp(−3/4), and [4 + (4 + 8c)·4/6 − (4 + 8c)]/4 = ⅔(1 − c) = 0.3518.
    """

    options_model: ClassVar[type[StrictModel]] = HsicOptions
    needs_features: ClassVar[bool] = True
    several_attributes: ClassVar[bool] = True
    tuned: ClassVar[TuningRanges] = MappingProxyType({"strength": Range(0.1, 50.0)})

    def objective(self, losses: Tensor, batch: Batch, features: Tensor | None) -> Tensor:
        """Mean loss and the weighted term, scalar."""
        assert features is not None  # noqa: S101  (the loop gives what needs_features asks for)
        return losses.mean() + self.options.strength * self.dependence(batch, features).sum()

    def dependence(self, batch: Batch, features: Tensor) -> Tensor:
        """HSIC_u of every attribute and class, (A, C), or (A, L) if multi-label; 0 where it has no term."""
        members = membership(batch.labels, count=self.facts.num_classes)
        groups = torch.stack((batch.groups, *batch.more_groups))
        known = (groups >= 0).float()
        if batch.labels.ndim == 1:
            return conditional_hsic(features, members[None] * known[:, None], groups)
        labels = len(members)
        held = (members[None] * known[:, None]).flatten(0, 1)  # a partition per attribute and label: labels overlap
        return conditional_hsic(features, held[:, None], groups.repeat_interleave(labels, dim=0)).view(-1, labels)


def conditional_hsic(features: Tensor, members: Tensor, groups: Tensor) -> Tensor:
    """HSIC_u of features and groups within each class of P partitions of the samples.

    A partition's classes share no sample, so that one (B, B) matrix holds the pairs of all of them.

    Args:
        features: float32 (B, F).
        members: float32 (P, C, B), 1 where a sample is in a class, which it is in at most one of a partition.
        groups: int64 (P, B), not read where a sample is in no class.

    Returns:
        Float32 (P, C), 0 for a class with fewer than 4 samples or with one group.
    """

    def by_class(of_samples: Tensor) -> Tensor:
        return (members @ of_samples[..., None]).squeeze(-1)

    distances = squared_distances(_directions(features))
    pairs = (members.mT @ members) * (1.0 - torch.eye(len(features), device=features.device))
    counts = members.sum(dim=2)
    mean = by_class((pairs * distances.detach()).sum(dim=2)) / (counts * (counts - 1.0)).clamp(min=1.0)
    gamma = (members.mT @ (0.5 / mean.clamp(min=_LEAST_SPREAD))[..., None]).squeeze(-1)
    kernel = pairs * torch.exp(-gamma[:, :, None] * distances)
    same = pairs * (groups[:, :, None] == groups[:, None, :])
    kernel_rows, same_rows = kernel.sum(dim=2), same.sum(dim=2)
    same_pairs = by_class(same_rows)
    m = counts.clamp(min=4.0)
    trace = by_class((kernel * same).sum(dim=2))
    product = by_class(kernel_rows) * same_pairs / ((m - 1.0) * (m - 2.0))
    cross = by_class(kernel_rows * same_rows) * 2.0 / (m - 2.0)
    defined = (counts >= 4) & (same_pairs < counts * (counts - 1.0))
    return torch.where(defined, (trace + product - cross) / (m * (m - 3.0)), 0.0)


def _directions(features: Tensor) -> Tensor:
    """Features scaled to length 1; a vector without direction stays 0 and has no gradient, which would be infinite."""
    norms = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return torch.where(norms > _LEAST_NORM, features, 0.0) / norms.clamp(min=_LEAST_NORM)
