"""How the variance of group losses changes with the attributes' weights, through one simulated step of the network."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mindgap.core.errors import ConfigError, DataError
from mindgap.prune.activations import layer_outputs
from mindgap.prune.importance import Layers, ScoringBatch
from mindgap.prune.soft_nearest import TELLS_APART

ChannelLoss = Callable[[Tensor, Tensor], Tensor]
"""(maps (B, C, H, W), groups int64 (B,)) to (C,), NaN without a gradient where a channel cannot be scored."""

SampleLoss = Callable[[Tensor, Tensor], Tensor]
"""(logits (B, L), labels) to (B,), such as an ``AbstractLoss``."""

LEAST_IMAGES = 2
"""Images that a group needs in a batch for its mean loss to count."""


@dataclass(frozen=True, eq=False)
class MetaStep:
    """What one simulated step says of the weights.

    Attributes:
        gradient: float64 (K,) on the CPU, ∂L_meta/∂w.
        variances: float64 (K,) on the CPU, variance of group losses of each attribute after the step; NaN where
            fewer than two groups count.
        sizes: int64 (G_k,) of each attribute on the CPU, images of its groups in its batch.
    """

    gradient: Tensor
    variances: Tensor
    sizes: tuple[Tensor, ...]


def meta_step(
    network: nn.Module,
    layers: Layers,
    weights: Sequence[float],
    *,
    training: Sequence[ScoringBatch],
    meta: Sequence[ScoringBatch],
    groups: Sequence[int],
    snnl: ChannelLoss,
    loss: SampleLoss,
    step: float,
) -> MetaStep:
    """The hyper-gradient of L_meta(θ') by the weights, θ' = θ + s·α ∇_θ Σ_k w_k SNNL_k(θ), exactly.

    As θ' is linear in w, ∂L_meta/∂w_k = s·α ⟨∇_θ SNNL_k(θ), ∇_θ' L_meta(θ')⟩: one backward pass for each attribute's
    SNNL and one over the meta batches, and no second derivative. SNNL_k is the mean over all channels of the layers
    that can be scored, L_meta = Σ_k Var_g ℓ_g (``group_variance``). Parameters that need no gradient are not stepped.
    A channel whose values are all below a millionth of its layer's largest has no say: its slope grows as one over its
    size, so that the step would blow it up. The network, its gradients, buffers and training flags are as they were;
    the memory is K + 1 times that of the parameters before the last of the layers, and that of one batch's backward
    pass.

    Args:
        network: any module that maps images to logits; it runs in evaluation mode. It and the batches are not made in
            torch's inference mode, in which this may be called.
        layers: of the network, by name.
        weights: (K,), w_k.
        training: of each attribute the batch for its SNNL.
        meta: of each attribute the batch for its group losses.
        groups: of each attribute the number of its groups.
        snnl: a channel's loss.
        loss: a sample's loss.
        step: s·α, signed.

    Raises:
        ConfigError: no parameter that is trained acts on the layers, or a layer puts out no maps.
        DataError: no channel of the layers can be scored, or their values overflow.
    """
    with _evaluating(network), torch.inference_mode(mode=False), torch.enable_grad():
        start = {
            name: value.detach().requires_grad_() for name, value in network.named_parameters() if value.requires_grad
        }
        slopes = [_snnl_slopes(network, layers, start, batch, snnl) for batch in training]
        moved = _moved(start, slopes, [step * weight for weight in weights])
        leaves = [moved[name] for name in moved if moved[name].requires_grad]
        total = [torch.zeros_like(leaf) for leaf in leaves]
        variances, sizes = [], []
        for batch, count in zip(meta, groups, strict=True):
            logits = functional_call(network, moved, (batch.images,))
            variance, size = group_variance(loss(logits, batch.labels), batch.groups, count=count)
            parts = torch.autograd.grad(variance, leaves, materialize_grads=True)
            total = [one.add_(other) for one, other in zip(total, parts, strict=True)]
            variances.append(variance.detach())
            sizes.append(size.cpu())
        names = [name for name in moved if moved[name].requires_grad]
        downhill = dict(zip(names, total, strict=True))
        products = [_product(own, downhill) for own in slopes]
    return MetaStep(step * torch.stack(products).cpu(), torch.stack(variances).cpu(), tuple(sizes))


def group_variance(losses: Tensor, groups: Tensor, *, count: int) -> tuple[Tensor, Tensor]:
    """Variance of the groups' mean losses, Var_g ℓ_g = 1/G Σ_g (ℓ_g − ℓ̄)² (Wei & Chakraborti, §2.3).

    Args:
        losses: float (B,), one per image.
        groups: int64 (B,), -1 where unknown.
        count: groups of the attribute.

    Returns:
        The variance, 0-dimensional float64, over the groups with two images or more, NaN if those are fewer than two;
        and int64 (count,), images per group.

    Example:
        Losses 1 and 3 of one group, 4 and 4 of another, 9 of a third: means 2 and 4, variance 1; the third is left out.
    """
    members = groups[:, None] == torch.arange(count, device=groups.device)
    sizes = members.sum(dim=0)
    kept = sizes >= LEAST_IMAGES
    means = (members.double().T @ losses.double()) / sizes.clamp(min=1)
    mean = (means * kept).sum() / kept.sum()
    variance = ((means - mean).square() * kept).sum() / kept.sum()
    return torch.where(kept.sum() >= LEAST_IMAGES, variance, torch.nan), sizes


def _snnl_slopes(
    network: nn.Module, layers: Layers, start: dict[str, Tensor], batch: ScoringBatch, snnl: ChannelLoss
) -> dict[str, Tensor]:
    """∇_θ SNNL_k by name, of the parameters that act on the layers."""
    maps = layer_outputs(functools.partial(functional_call, network, start), layers, batch.images).maps
    value = torch.cat([snnl(_sizeable(maps[name]), batch.groups) for name in layers]).nanmean()
    if not value.requires_grad:
        raise ConfigError(f"no parameter before {', '.join(layers)} is trained; unfreeze some, or choose later layers")
    if value.isnan():
        raise DataError(f"no channel of {', '.join(layers)} tells any two images apart; choose other layers")
    slopes = torch.autograd.grad(value, list(start.values()), allow_unused=True)
    found = {name: slope for name, slope in zip(start, slopes, strict=True) if slope is not None}
    if not bool(torch.stack([slope.isfinite().all() for slope in found.values()]).all()):
        raise DataError(
            f"the slopes of how far {', '.join(layers)} tells groups apart are not finite; its values overflow, so "
            "train the network again with a lower learning rate, or choose other layers"
        )
    return found


def _sizeable(maps: Tensor) -> Tensor:
    """The channels that have not collapsed beside the layer's largest value."""
    sizes = maps.detach().abs().amax(dim=(0, 2, 3))
    return maps[:, ~(sizes < TELLS_APART * sizes.max())]  # what is not a number is for others to tell


def _moved(start: dict[str, Tensor], slopes: Sequence[dict[str, Tensor]], steps: Sequence[float]) -> dict[str, Tensor]:
    """θ' by name: fresh leaves where a slope moves a parameter, and the others as they are, without a gradient."""
    moved = {name: value.detach() for name, value in start.items()}
    reached = [name for name in start if any(name in own for own in slopes)]
    for name in reached:
        moved[name] = moved[name].clone()
        for own, step in zip(slopes, steps, strict=True):
            if name in own:
                moved[name].add_(own[name], alpha=step)
        moved[name].requires_grad_()
    return moved


def _product(one: dict[str, Tensor], other: dict[str, Tensor]) -> Tensor:
    """⟨one, other⟩ over the names of ``one``, 0-dimensional float64."""
    parts = [torch.dot(one[name].double().flatten(), other[name].double().flatten()) for name in one]
    return torch.stack(parts).sum()


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Every module in evaluation mode while the block lasts."""
    flags = [(module, module.training) for module in network.modules()]
    for module, _ in flags:
        module.training = False
    try:
        yield
    finally:
        for module, flag in flags:
            module.training = flag
