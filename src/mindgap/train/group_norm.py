"""Batch norm with statistics, scale and shift of each group's own, and telling a network whose images it sees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

from mindgap.core.errors import ConfigError


@dataclass(frozen=True, eq=False)
class BatchGroups:
    """Which group each image of a batch is in, in the forms that the norms need.

    Attributes:
        members: float32 (G, B), 1 where a group holds an image; an image of unknown group is in none.
        normalised_as: int64 (B,), the group whose statistics an image is normalised by.
    """

    members: Tensor
    normalised_as: Tensor

    @classmethod
    def of(cls, groups: Tensor, *, count: int, unknown_as: int) -> BatchGroups:
        """Reads group numbers, int64 (B,), -1 where unknown, without waiting for the device."""
        members = groups[None, :] == torch.arange(count, device=groups.device)[:, None]
        return cls(members.float(), torch.where(groups < 0, unknown_as, groups))


class GroupBatchNorm2d(nn.Module):
    """``nn.BatchNorm2d`` for each group by itself: y = γ_g·(x − μ_g)/√(σ_g² + ε) + β_g for an image of group g.

    In training μ_g and σ_g² (biased) are those of the batch's images of g, and running statistics follow them (unbiased
    variance), with the momentum of ``nn.BatchNorm2d``; in evaluation the running ones are used. With one group, or on a
    batch of one group, it is ``nn.BatchNorm2d``. Groups of fewer than two values per channel, absent ones included,
    keep their running statistics and are normalised by them, as one value has no variance.

    Images of unknown group are in no statistics and are normalised as those of group ``unknown_as``. Outside of
    ``groups_of`` all images are normalised by that group's running statistics, in training too.

    Attributes:
        weight: float32 (G·C,), γ of the first group's channels, then the second's; of one axis, so that weight decay
            leaves it out as it does other norms.
        bias: float32 (G·C,), β.
        running_mean: float32 (G, C).
        running_var: float32 (G, C).
        num_batches_tracked: int64 (G,), batches that moved each group's running statistics.
        batch: the groups of the images it is given, or the number of the one group of all of them.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, norm: nn.BatchNorm2d, *, groups: int, unknown_as: int = 0) -> None:
        """Copies a batch norm that trains scale and shift and keeps statistics, for that many groups."""
        super().__init__()
        assert norm.running_mean is not None and norm.running_var is not None  # noqa: PT018, S101  (see with_group_norms)
        assert norm.num_batches_tracked is not None  # noqa: S101
        self.groups, self.unknown_as = groups, unknown_as
        self.eps, self.momentum = norm.eps, norm.momentum
        self.weight = nn.Parameter(norm.weight.detach().repeat(groups))
        self.bias = nn.Parameter(norm.bias.detach().repeat(groups))
        self.register_buffer("running_mean", norm.running_mean.repeat(groups, 1))
        self.register_buffer("running_var", norm.running_var.repeat(groups, 1))
        self.register_buffer("num_batches_tracked", norm.num_batches_tracked.repeat(groups))
        self.batch: BatchGroups | int = unknown_as

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape and type; statistics are float32 whatever the type."""
        if isinstance(self.batch, int):
            return self._as_one_group(images, self.batch)
        with torch.autocast(images.device.type, enabled=False):
            mean, variance, values = self.running_mean, self.running_var, images
            if self.training:
                values = images.to(self.weight.dtype)
                mean, variance = self._batch_statistics(values, self.batch.members.to(self.weight.dtype))
            scale = self.weight.view(self.groups, -1) * torch.rsqrt(variance + self.eps)
            shift = self.bias.view(self.groups, -1) - mean * scale
            factor, offset = (of[self.batch.normalised_as, :, None, None] for of in (scale, shift))
            return (values * factor + offset).to(images.dtype)

    def _as_one_group(self, images: Tensor, group: int) -> Tensor:
        weight, bias = (of.view(self.groups, -1)[group] for of in (self.weight, self.bias))
        mean, variance = self.running_mean[group], self.running_var[group]
        return functional.batch_norm(images, mean, variance, weight, bias, training=False, eps=self.eps)

    def _batch_statistics(self, values: Tensor, members: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and biased variance of each group, (G, C), the running ones where it has no two values.

        Each image's own mean m and variance v give a group's: μ is the mean of m, and σ² that of v + (m − μ)².
        """
        variances, means = torch.var_mean(values, dim=(2, 3), correction=0)
        images = members.sum(dim=1)
        share = members / images.clamp(min=1.0)[:, None]
        mean = share @ means
        variance = share @ (variances + (means - members.T @ mean).square())
        counts = (images * (values.shape[2] * values.shape[3]))[:, None]
        usable = counts >= 2
        mean = torch.where(usable, mean, self.running_mean)
        variance = torch.where(usable, variance, self.running_var)
        unbiased = variance.detach() * (counts / (counts - 1.0).clamp(min=1.0))
        self._follow(mean.detach(), unbiased, usable)
        return mean, variance

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, usable: Tensor) -> None:
        """Moves the running statistics of the groups that are usable, bool (G, 1), towards the batch's."""
        self.num_batches_tracked.add_(usable.squeeze(1))
        rate = torch.full_like(mean[:, :1], self.momentum or 0.0)
        if self.momentum is None:  # the mean of all batches
            rate = 1.0 / self.num_batches_tracked.clamp(min=1)[:, None].to(mean.dtype)
        rate = torch.where(usable, rate, 0.0)
        self.running_mean.lerp_(mean, rate)
        self.running_var.lerp_(variance, rate)


def with_group_norms(network: nn.Module, *, groups: int, unknown_as: int) -> None:
    """Replaces every batch norm of a network by one of all groups, in place; all groups start as the plain one.

    Raises:
        ConfigError: the network has none, or one without scale, shift or running statistics.
    """
    found = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.modules.batchnorm._BatchNorm)  # noqa: SLF001  (torch has no public name for all)
    ]
    odd = [str(norm) for _, _, norm in found if not _is_usual(norm)]
    if odd or not found:
        what = f"has {odd[0]}" if odd else "has no batch norm"
        raise ConfigError(
            f"the network {what}, batch norms per group need nn.BatchNorm2d with scale, shift and running statistics; "
            "take another network or mitigation"
        )
    for parent, name, norm in found:
        if _is_usual(norm):
            own = GroupBatchNorm2d(norm, groups=groups, unknown_as=unknown_as)
            setattr(parent, name, own.train(norm.training))


def _is_usual(norm: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    return type(norm) is nn.BatchNorm2d and norm.affine and norm.track_running_stats  # others may do more, such as act


@contextmanager
def groups_of(network: nn.Module, groups: Tensor | int) -> Iterator[None]:
    """Tells a network whose images it sees while the block lasts: int64 (B,), -1 unknown, or one group's number."""
    norms = [module for module in network.modules() if isinstance(module, GroupBatchNorm2d)]
    if isinstance(groups, Tensor):
        first = norms[0]
        told: BatchGroups | int = BatchGroups.of(groups, count=first.groups, unknown_as=first.unknown_as)
    else:
        told = groups
    for norm in norms:
        norm.batch = told
    try:
        yield
    finally:
        for norm in norms:
            norm.batch = norm.unknown_as
