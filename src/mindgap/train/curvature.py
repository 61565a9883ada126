"""The diagonal of the Hessian of a network's mean loss, by its convolution and linear weights.

The loss ℓ is the softmax cross-entropy of a sample or, where a sample has several labels, the sum of their binary
cross-entropies; without label smoothing. With logits f, J = ∂f/∂θ and probabilities p the diagonal is, per kind,

* ``ggn``: exactly that of the generalised Gauss-Newton matrix, the mean of diag(Jᵀ(diag(p) − ppᵀ)J), which is the
  expected Fisher information Σ_c p_c (∂ log p_c/∂θ_j)², and never negative. It is the Hessian's own where the logits
  are piecewise linear in every single weight: in networks of convolutions, ReLUs, maxima and batch norms in evaluation
  mode whose layers are each called once. For several labels it is Σ_l p_l(1 − p_l) J_lj².
* ``fisher``: the mean of (∂ℓ/∂θ_j)², the empirical Fisher information, by the samples' own labels.
* ``hutchinson``: the mean over draws of z ⊙ Hz with z_j = ±1, unbiased for the Hessian's own diagonal, of either sign
  (Hutchinson 1989; Bekas et al. 2007). Its variance is Σ_{k≠j} H_jk² per draw: where n weights act together it
  takes more than n draws to tell one weight from another, which only small networks allow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.func import functional_call

from mindgap.train.squared_gradients import prunable_weights, squared_gradients

Curvature = Literal["ggn", "hutchinson", "fisher"]


def hessian_diagonal(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    kind: Curvature = "ggn",
    draws: int = 8,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """The diagonal of the Hessian of the mean loss over all samples.

    Example:
        One linear layer from 1 feature to 2 classes, weights 0, samples x = 1 and x = 3: p = (½, ½), so ``ggn`` is
        p(1 − p)x² = ¼ and 9/4, mean 5/4, for either weight. ``fisher`` is (½)² and (3/2)², here also of mean 5/4.

    Args:
        network: in evaluation mode, so that no sample depends on another; maps (B, …) to logits (B, C).
        batches: of images float32 (B, …) and labels int64 (B,), or float32 (B, L) of 0 and 1; a batch takes about the
            memory of training on it. For C classes ``ggn`` passes each C − 1 times backwards (L labels: L times).
        kind: which curvature.
        draws: vectors z per batch, for ``hutchinson``.
        generator: of z, on the network's device.

    Returns:
        float32 of each weight's shape, by the names of ``prunable_weights``; zeros if there is no sample.
    """
    total = {name: torch.zeros_like(weight) for name, weight in prunable_weights(network).items()}
    count = 0
    for images, labels in batches:
        count += len(labels)
        if kind == "hutchinson":
            part = _hutchinson(network, images, labels, draws=draws, generator=generator)
        else:
            with torch.no_grad():
                logits = network(images)
            roots = _ggn_roots if kind == "ggn" else _fisher_roots
            part = squared_gradients(network, images, roots(logits, labels))
        for name, value in part.items():
            total[name] += value
    return {name: value / max(1, count) for name, value in total.items()}


def sample_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """ℓ of every sample, float32 (B,), from logits (B, C)."""
    if labels.ndim == 1:
        return F.cross_entropy(logits, labels, reduction="none")
    return F.binary_cross_entropy_with_logits(logits, labels.to(logits), reduction="none").sum(dim=1)


def _fisher_roots(logits: Tensor, labels: Tensor) -> Tensor:
    """∂ℓ/∂f, (B, 1, C)."""
    if labels.ndim == 2:
        return (logits.sigmoid() - labels.to(logits))[:, None]
    return (logits.softmax(dim=1) - F.one_hot(labels, logits.shape[1]).to(logits))[:, None]


def _ggn_roots(logits: Tensor, labels: Tensor) -> Tensor:
    """Vectors d_r with Σ_r d_r d_rᵀ = ∂²ℓ/∂f², (B, C − 1, C), or (B, L, L) for several labels.

    diag(p) − ppᵀ has rank C − 1, and its Cholesky factor a closed form (Tanabe & Sagae 1992): with the tails
    t_r = Σ_{k>r} p_k, d_r = √(p_r t_r/(p_r + t_r)) · (e_r − Σ_{k>r} (p_k/t_r) e_k). Two classes: √(p_0 p_1) · (1, −1).
    """
    if labels.ndim == 2:
        chances = logits.sigmoid()
        return torch.diag_embed((chances * (1.0 - chances)).sqrt())
    chances = logits.softmax(dim=1)
    tiny = torch.finfo(chances.dtype).tiny
    later_ones = torch.ones(chances.shape[1], chances.shape[1], dtype=chances.dtype, device=chances.device).tril(-1)
    tails = (chances @ later_ones)[:, :-1]  # a cumulative sum has no reproducible form on a GPU
    heads = chances[:, :-1]
    scale = (heads * (tails / (heads + tails).clamp(min=tiny))).sqrt()
    later = (chances[:, None, :] / tails.clamp(min=tiny)[:, :, None]).triu(diagonal=1)
    unit = torch.eye(chances.shape[1], dtype=chances.dtype, device=chances.device)[:-1]
    return scale[:, :, None] * (unit - later)


def _hutchinson(
    network: nn.Module, images: Tensor, labels: Tensor, *, draws: int, generator: torch.Generator | None
) -> dict[str, Tensor]:
    """The mean over draws of z ⊙ Hz, H of the batch's summed loss."""
    weights = {name: weight.detach().requires_grad_() for name, weight in prunable_weights(network).items()}
    leaves = list(weights.values())
    with torch.enable_grad():
        loss = sample_losses(functional_call(network, weights, (images,)), labels).sum()
        slopes = torch.autograd.grad(loss, leaves, create_graph=True, materialize_grads=True)
    total = [torch.zeros_like(leaf, requires_grad=False) for leaf in leaves]
    bent = [number for number, slope in enumerate(slopes) if slope.requires_grad]
    for _ in range(draws if bent else 0):
        signs = [_signs(leaf, generator) for leaf in leaves]
        products = torch.autograd.grad(
            [slopes[number] for number in bent],
            leaves,
            [signs[number] for number in bent],
            retain_graph=True,
            materialize_grads=True,
        )
        for value, sign, product in zip(total, signs, products, strict=True):
            value.addcmul_(sign, product, value=1.0 / draws)
    return dict(zip(weights, total, strict=True))


def _signs(like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randint(0, 2, like.shape, generator=generator, dtype=like.dtype, device=like.device).mul_(2).sub_(1)
