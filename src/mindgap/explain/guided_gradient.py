"""Guided backpropagation: a logit's gradient of the image, along paths on which every activation gains.

Springenberg et al. 2015 ("Striving for simplicity"): at a rectifier f(x) with the gradient δ of its output, not
δ·[x > 0] goes on but δ·[x > 0]·[δ > 0]. Stated for any activation, and the same for a rectifier:

    δ⁺ · f'(x)⁺        where v⁺ = max(v, 0)

* ReLU: δ·[x > 0]·[δ > 0]. ReLU6 also needs x < 6, above which it is flat. Leaky ReLU, PReLU: δ⁺ times the slope.
* SiLU, GELU, Mish, Hardswish: δ⁺ times the derivative, and nothing where that is negative (SiLU: x < -1.278): there the
  output falls as the input rises, and what would go on says that the logit gains from less of the input, which is what
  the rule takes out. ELU, CELU, SELU, softplus: the derivative is positive everywhere.
* A clamp from 0 and a maximum with 0 are rectifiers. Sigmoid, hard sigmoid, softmax and tanh are gates: plain gradient.

The rule is applied to the operations that ran, found in the graph of the forward pass, and not to modules: so to ReLU
as module, as function, as method of a tensor, in place, and when one module runs many times. What hides its operations
(a custom function, TorchScript's fused graphs, a part of a tensor changed in place) is refused. An activation put
together from other operations, as torch.where(x > 0, x, 0), x·sigmoid(x) or a maximum of two maps, is not seen: its
gradient is the plain one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeGuard

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from mindgap.core.errors import ConfigError
from mindgap.explain.layer_maps import check_differentiable, check_ready, target_logits
from mindgap.space.network import Network

RECTIFIERS = ("Relu", "LeakyRelu", "PreluKernel", "RreluWithNoise", "Threshold", "Hardtanh")
SMOOTH = ("Silu", "Hardswish", "Gelu", "Mish", "Elu", "Celu", "Softplus")
CLAMPS = ("Clamp", "ClampMin")
MAXIMA = ("Maximum", "Fmax")
"""Names of operations in PyTorch's graphs, without ``Backward`` and the number after it."""

_HIDING = ("torch::autograd::CopySlices", "torch::jit::")


def guided_gradient(network: Network, images: Tensor, targets: Tensor) -> Tensor:
    """The guided gradient of each image's own logit, float32 (n, 3, S, S); the network is left as it was.

    Args:
        network: in evaluation mode.
        images: float32 (n, 3, S, S), normalised, on the network's device.
        targets: int64 (n,), the class of each image.

    Raises:
        ConfigError: the network trains, was made in inference mode, no activation was found to guide, or an operation
            hides some.
        ShapeError: images or targets do not fit.

    Example:
        y = 2·ReLU(x₁) - ReLU(x₂) has the gradient (2, -1) at (1, 1) and the guided one (2, 0).
    """
    check_ready(network, images)
    check_differentiable(network)
    with torch.inference_mode(mode=False), torch.enable_grad():
        start = (images.clone() if images.is_inference() else images.detach()).requires_grad_()
        scores = target_logits(network(start), targets)
        guide(scores)
        return torch.autograd.grad(scores.sum(), start)[0].float()


def guide(scores: Tensor) -> int:
    """Makes the gradients that go back from a tensor guided, in its graph alone; how many activations there are.

    Raises:
        ConfigError: there is none, or an operation hides what it computes.
    """
    guided = 0
    for node in _nodes(scores.grad_fn):
        if isinstance(node, BackwardCFunction) or node.name().startswith(_HIDING):
            hidden = node.name().removeprefix("torch::autograd::")
            raise ConfigError(
                f"guided backpropagation cannot see into {hidden}, which may hold an activation; "
                "use grad-cam, or a network of PyTorch's own operations"
            )
        if _is_activation(node):
            node.register_prehook(_gaining)
            node.register_hook(_rising)
            guided += 1
    if not guided:
        known = ", ".join(name.removesuffix("Kernel").removesuffix("WithNoise") for name in (*RECTIFIERS, *SMOOTH))
        raise ConfigError(f"no activation to guide was found, so the gradient is the plain one; known are {known}")
    return guided


def _nodes(root: Node | None) -> Iterator[Node]:
    """Every node of a graph, once."""
    waiting, seen = [root], {root}
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        yield node
        following = [following for following, _ in node.next_functions if following not in seen]
        seen.update(following)
        waiting.extend(dict.fromkeys(following))


def _is_activation(node: Node) -> bool:
    name, _, version = node.name().partition("Backward")
    if not version.isdecimal():
        return False
    if name in CLAMPS:
        return _is_zero(getattr(node, "_saved_min", None))
    if name in MAXIMA:
        factors = zip(("_saved_self", "_saved_other"), node.next_functions, strict=True)
        return any(_is_zero(getattr(node, saved)) for saved, (before, _) in factors if before is None)
    return name in RECTIFIERS or name in SMOOTH


def _is_zero(bound: object) -> bool:
    """Whether a bound of what an operation lets through is 0 everywhere, and no map."""
    if isinstance(bound, Tensor):
        return not bound.requires_grad and not bool(bound.any())
    return bound == 0


def _gaining(gradients: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """δ⁺ of an activation's output."""
    return tuple(one.clamp(min=0) if _is_there(one) else one for one in gradients)


def _rising(gradients: Sequence[Tensor | None], _: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """(δ⁺·f'(x))⁺ of its input, which is the first; others are of its parameters."""
    first, *others = gradients
    return (first.clamp(min=0) if _is_there(first) else first, *others)


def _is_there(gradient: Tensor | None) -> TypeGuard[Tensor]:
    return gradient is not None
