"""Batch norm, the sum with a shortcut and ReLU or ReLU6 in training, as one operation in few passes over memory.

Forward, one pass finds mean and variance and one gives ``y = act(γ·(x − μ)/√(σ² + ε) + β [+ shortcut])``. Backward, one
finds the sums over ``g``, the gradient before the activation, and one gives ``γ/√(σ² + ε)·(g − Σg/R − x̂·Σ(g·x̂)/R)``
over R rows. What passed the activation is computed anew from x, or seen from y where there is a shortcut. PyTorch's own
operations take two to three times as many passes.

Statistics are summed in float32 over some hundred rows, around their own mean, and in float64 over all. Results differ
from PyTorch's by rounding and do not depend on the number of threads. Parameters, buffers and their names are those of
``nn.BatchNorm2d``; evaluation is not touched.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from mindgap.train.fused_kernels import operations
from mindgap.train.fused_reference import Act, Affine, Normalised, Operations

_TYPES = (torch.float32, torch.bfloat16)
_ACTS: dict[type[nn.Module], Act] = {nn.ReLU: "relu", nn.ReLU6: "relu6"}


def act_of(module: nn.Module | None) -> Act | None:
    """The activation that a module is, ``plain`` for none or an identity, or None if it cannot be fused."""
    if module is not None and has_hooks(module):
        return None
    if module is None or type(module) is nn.Identity:
        return "plain"
    return _ACTS.get(type(module))


def is_fusable(norm: nn.Module | None) -> TypeGuard[nn.BatchNorm2d]:
    """Whether a module is a batch norm that trains scale and shift and keeps statistics in the usual way."""
    if not isinstance(norm, nn.BatchNorm2d) or type(norm) is not nn.BatchNorm2d or has_hooks(norm):
        return False
    usual = norm.affine and norm.track_running_stats and norm.momentum is not None
    return usual and norm.weight.dtype == torch.float32  # as which the passes read it, shift and statistics


def has_hooks(module: nn.Module) -> bool:
    """Whether something sees what goes through a module."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, kind) for kind in kinds)


def fused_norm(norm: nn.BatchNorm2d, images: Tensor, *, act: Act, residual: Tensor | None = None) -> Tensor | None:
    """The normalised, summed and activated maps, with the running statistics updated.

    Args:
        norm: fusable, in training.
        images: (B, C, H, W); channels_last is fastest.
        act: the activation.
        residual: what is added before it, of the same shape and type.

    Returns:
        (B, C, H, W) of the same type, channels_last; None where this cannot be fused: in evaluation, on another device
        than a CPU, in another type, or of a single value per channel.
    """
    alike = residual is None or (residual.shape == images.shape and residual.dtype == images.dtype)
    usable = norm.training and images.device.type == "cpu" and images.dtype in _TYPES and alike
    if not usable or images.numel() <= images.shape[1]:
        return None
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    return _FusedNorm.apply(images, norm.weight, norm.bias, residual, norm, act, operations())


class _FusedNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor,
        bias: Tensor,
        residual: Tensor | None,
        norm: nn.BatchNorm2d,
        act: Act,
        passes: Operations,
    ) -> Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        assert norm.running_mean is not None and norm.running_var is not None  # noqa: PT018, S101  (is_fusable saw it)
        affine = Affine(weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.momentum or 0.0)
        out = torch.empty_like(images)  # no view, so that an activation of another kind may change it in place
        added = None if residual is None else _rows(residual)
        made = passes.forward(_rows(images), added, affine, act=act, out=_rows(out))
        seen = out if residual is not None and act != "plain" else None
        ctx.save_for_backward(images, made.wide, made.narrow, seen)
        ctx.act, ctx.passes = act, passes
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        images, wide, narrow, seen = ctx.saved_tensors
        rows, output = _rows(gradients[0]), None if seen is None else _rows(seen)
        norm = Normalised(wide, narrow, ctx.act)
        found = ctx.passes.backward(_rows(images), rows, output, norm, wants_x=ctx.needs_input_grad[0])
        to_images = None if found.x is None else _maps(found.x, images)
        before = rows if found.before is None else found.before
        to_residual = _maps(before, images) if ctx.needs_input_grad[3] else None
        return to_images, found.weight, found.bias, to_residual, None, None, None


def _rows(maps: Tensor) -> Tensor:
    """(B, C, H, W) as (B·H·W, C), without a copy where channels are innermost."""
    return (
        maps.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).reshape(-1, maps.shape[1]).contiguous()
    )


def _maps(rows: Tensor, like: Tensor) -> Tensor:
    """The other way round."""
    batch, channels, height, width = like.shape
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)
