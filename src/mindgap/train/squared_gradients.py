"""Squared gradients of single samples, by a network's convolution and linear weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
_MOST_VALUES = 2**22
_FEW_POSITIONS = 6


def prunable_weights(network: nn.Module) -> dict[str, Tensor]:
    """The weights of convolutions and linear layers by name, each once; no biases, no batch norms."""
    layers = {id(layer.weight) for layer in _layers(network)}
    return {name: weight.detach() for name, weight in network.named_parameters() if id(weight) in layers}


def squared_gradients(network: nn.Module, images: Tensor, directions: Tensor) -> dict[str, Tensor]:
    """Σ_i Σ_r (∂(d_ir · f(x_i))/∂θ_j)² over the samples i and R directions of each.

    Convolutions and linear layers of torch's own classes take one backward pass per direction for the whole batch; from
    a layer's input a and the gradient δ of its output the gradient of a sample is Σ_p δ_p a_pᵀ over positions p.
    Anything else takes ``squared_gradients_by_sample``, which is the same and some 50 times slower.

    Args:
        network: in evaluation mode, so that no sample depends on another; maps (B, …) to logits (B, C).
        images: float32 (B, …).
        directions: float32 (B, R, C), vectors d in the space of the logits.

    Returns:
        float32 of each weight's shape, by the names of ``prunable_weights``.
    """
    calls, logits = _recorded(network, images)
    if not all(_is_plain(layer) for layer in _layers(network)) or any(len(call.given) != len(images) for call in calls):
        return squared_gradients_by_sample(network, images, directions)
    names = {id(weight): name for name, weight in network.named_parameters()}
    total = {name: torch.zeros_like(weight) for name, weight in prunable_weights(network).items()}
    for direction in directions.unbind(dim=1):
        slopes = torch.autograd.grad(
            logits, [call.output for call in calls], direction, retain_graph=True, allow_unused=True
        )
        by_weight: dict[str, list[tuple[Tensor, Tensor]]] = {}
        for call, slope in zip(calls, slopes, strict=True):
            if slope is not None:
                by_weight.setdefault(names[id(call.layer.weight)], []).append(_by_position(call, slope))
        for name, parts in by_weight.items():  # a layer that is called twice has the positions of both calls
            inputs, outputs = (torch.cat([part[side] for part in parts], dim=3) for side in (0, 1))
            total[name] += _sum_of_squares(inputs, outputs).view_as(total[name])
    return total


def squared_gradients_by_sample(network: nn.Module, images: Tensor, directions: Tensor) -> dict[str, Tensor]:
    """The same as ``squared_gradients``, one whole gradient per sample, for layers of any kind."""
    weights = prunable_weights(network)

    def along(weights: dict[str, Tensor], image: Tensor, direction: Tensor) -> Tensor:
        return (functional_call(network, weights, (image[None],))[0] * direction).sum()

    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    size = max(1, _MOST_VALUES // max(1, sum(weight.numel() for weight in weights.values())))
    for part, its_directions in zip(images.split(size), directions.split(size), strict=True):
        for direction in its_directions.unbind(dim=1):
            gradients = vmap(grad(along), in_dims=(None, 0, 0))(weights, part, direction)
            for name, gradient in gradients.items():
                total[name] += gradient.square().sum(dim=0)
    return total


@dataclass(frozen=True, eq=False)
class _Call:
    layer: Layer
    given: Tensor
    output: Tensor


def _layers(network: nn.Module) -> list[Layer]:
    return [module for module in network.modules() if isinstance(module, Layer)]


def _is_plain(layer: Layer) -> bool:
    if type(layer) is nn.Conv2d:
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return type(layer) is nn.Linear


def _recorded(network: nn.Module, images: Tensor) -> tuple[list[_Call], Tensor]:
    """Every call of a layer in a forward pass, and the logits with their graph, whatever is frozen."""
    calls: list[_Call] = []

    def keep(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        calls.append(_Call(layer, given[0].detach(), output))  # pyright: ignore[reportArgumentType]
        return output.clone()  # which an activation may overwrite

    handles = [layer.register_forward_hook(keep) for layer in _layers(network)]
    try:
        with torch.enable_grad():
            return calls, network(images.detach().requires_grad_().clone())
    finally:
        for handle in handles:
            handle.remove()


def _by_position(call: _Call, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs (B, groups, K, P) and gradients of outputs (B, groups, O, P); Σ_p of their products is the weight's."""
    layer, given = call.layer, call.given
    if isinstance(layer, nn.Conv2d):
        padding = cast("tuple[int, int]", layer.padding)
        patches = F.unfold(given, layer.kernel_size, layer.dilation, padding, layer.stride)
        shape = (len(given), layer.groups, -1, patches.shape[-1])
        return patches.reshape(shape), slope.reshape(shape)
    given, slope = (side.reshape(len(side), 1, -1, side.shape[-1]).transpose(2, 3) for side in (given, slope))
    return given, slope


def _sum_of_squares(inputs: Tensor, outputs: Tensor) -> Tensor:
    """Σ_i (Σ_p o_p i_pᵀ)², float (groups, O, K), from (B, groups, K, P) and (B, groups, O, P).

    With few positions it is one matrix product over all samples and pairs of positions, as (Σ_p x_p)² = Σ_pq x_p x_q.
    """
    positions = inputs.shape[3]
    if positions <= _FEW_POSITIONS:
        one, other = torch.triu_indices(positions, positions, device=inputs.device)
        twice = torch.where(one == other, 1.0, 2.0)
        left, right = ((side[..., one] * side[..., other]).permute(1, 2, 0, 3).flatten(2) for side in (outputs, inputs))
        return (left * twice.repeat(len(inputs))) @ right.transpose(1, 2)
    largest = max(inputs[0].numel(), outputs[0].numel() * inputs.shape[2] // positions)
    size = max(1, _MOST_VALUES // largest)
    parts = zip(inputs.split(size), outputs.split(size), strict=True)
    return torch.stack([(left @ right.transpose(2, 3)).square().sum(dim=0) for right, left in parts]).sum(dim=0)
