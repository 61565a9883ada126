"""The maps of any layer of a network, and how a logit depends on them; the network is left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

from mindgap.core.errors import ConfigError, ShapeError, near_names
from mindgap.space.network import Network

LAST_MAPS = "head"
"""The layer that gives a network's last maps."""


def find_layer(network: Network, name: str | None) -> nn.Module:
    """The module of that path, such as ``blocks.3.body``; of None the one that gives the last maps.

    Raises:
        ConfigError: the network has none of the path.
    """
    modules = {path: module for path, module in network.named_modules() if path}
    wanted = LAST_MAPS if name is None else name
    if wanted in modules:
        return modules[wanted]
    near = near_names(wanted, modules, listed=[path for path in modules if "." not in path])
    raise ConfigError(f"the network has no layer {wanted!r}; {near}")


def layer_maps(network: Network, images: Tensor, *, layer: str | None = None) -> Tensor:
    """The output of one layer, (n, C, h, w), without gradients.

    Args:
        network: in evaluation mode.
        images: float32 (n, 3, S, S), normalised, on the network's device.
        layer: path of the module; None is the last maps.

    Raises:
        ConfigError: the network trains, has no such layer, or the layer gives no maps.
        ShapeError: the images are not (n, 3, S, S) of the network's type.
    """
    check_ready(network, images)
    with torch.no_grad(), _kept(find_layer(network, layer)) as found:
        network(images)
    return _maps(found, layer)


def maps_and_gradients(
    network: Network, images: Tensor, targets: Tensor, *, layer: str | None = None
) -> tuple[Tensor, Tensor]:
    """The output A of one layer, and ∂y^c/∂A of each image's own logit y^c, both (n, C, h, w).

    Works where gradients are switched off, in inference mode too, of networks that were made outside of it. No
    gradient reaches a parameter.

    Args:
        network: in evaluation mode, so that images do not depend on each other.
        images: float32 (n, 3, S, S), normalised, on the network's device.
        targets: int64 (n,), the class c of each image.
        layer: path of the module; None is the last maps.

    Raises:
        ConfigError: the network trains, was made in inference mode, has no such layer, or the logits do not depend on
            it through maps.
        ShapeError: images or targets do not fit.
    """
    check_ready(network, images)
    check_differentiable(network)
    module = find_layer(network, layer)
    with torch.inference_mode(mode=False), torch.enable_grad(), _kept(module, leaf=True) as found:
        logits = network(images.clone() if images.is_inference() else images.detach())
        maps = _maps(found, layer)
        scores = target_logits(logits, targets)
        depends = scores.requires_grad
        gradients = torch.autograd.grad(scores.sum(), maps, allow_unused=True)[0] if depends else None
    if gradients is None:
        raise ConfigError(f"no logit depends on layer {layer!r}; name one that the network uses")
    return maps.detach(), gradients


def target_logits(logits: Tensor, targets: Tensor) -> Tensor:
    """The logit of each image's target, (n,), from logits (n, C) and targets int64 (n,).

    Raises:
        ShapeError: the targets are not int64 (n,), or one is not in 0..C-1.
    """
    check_targets(targets, n=len(logits), classes=logits.shape[1])
    return logits.gather(1, targets[:, None].clone())[:, 0]  # one made in inference mode cannot be kept for a gradient


def check_targets(targets: Tensor, *, n: int, classes: int) -> None:
    """Checks that there is one class per image.

    Raises:
        ShapeError: the targets are not int64 (n,), or one is not in 0..classes-1.
    """
    if targets.shape != (n,) or targets.dtype != torch.int64:
        raise ShapeError(f"targets are {targets.dtype} {tuple(targets.shape)}; pass int64 ({n},), one class per image")
    low, high = (int(targets.min()), int(targets.max())) if n else (0, 0)
    if low < 0 or high >= classes:
        raise ShapeError(f"targets must lie in 0..{classes - 1}, got {low}..{high}; number the classes from 0")


def check_ready(network: Network, images: Tensor) -> None:
    """Checks that a network is in evaluation mode and that images can be its input.

    Raises:
        ConfigError: a part of the network is in training mode.
        ShapeError: the images are not (n, 3, S, S) of the network's type.
    """
    training = [name or "the network" for name, module in network.named_modules() if module.training]
    if training:
        raise ConfigError(f"{training[0]} is in training mode, where images change each other; call network.eval()")
    square = images.dim() == 4 and images.shape[1] == 3 and images.shape[2] == images.shape[3]
    if not square or not images.is_floating_point():
        raise ShapeError(f"images are {images.dtype} {tuple(images.shape)}; pass float32 (n, 3, S, S), normalised")
    own = next(network.parameters(), images).dtype
    if images.dtype != own and not torch.is_autocast_enabled(images.device.type):
        raise ShapeError(f"images are {images.dtype} and the network {own}; pass images of the network's type")


def check_differentiable(network: Network) -> None:
    """Checks that there can be gradients through a network.

    Raises:
        ConfigError: a tensor of the network was made in inference mode, so no operation keeps it for a gradient.
    """
    for name, tensor in chain(network.named_parameters(), network.named_buffers()):
        if tensor.is_inference():
            raise ConfigError(
                f"{name} was made in inference mode and takes part in no gradient; build or load the network outside "
                "of torch.inference_mode, or use cam"
            )


@contextmanager
def _kept(module: nn.Module, *, leaf: bool = False) -> Iterator[list[object]]:
    """Keeps what a module gives; as a leaf, gradients begin at it and not before.

    What follows gets a copy of the leaf, as it may change its input in place.
    """
    found: list[object] = []

    def keep(_: nn.Module, __: object, output: object) -> Tensor | None:
        if not isinstance(output, Tensor):
            found.append(output)
            return None
        if not leaf:
            found.append(output.detach().clone())
            return None
        found.append(start := output.detach().requires_grad_())
        return start.clone()

    handle = module.register_forward_hook(keep)
    try:
        yield found
    finally:
        handle.remove()


def _maps(found: list[object], layer: str | None) -> Tensor:
    """The one output of a layer that was kept.

    Raises:
        ConfigError: there is none, there are several, or it is not (n, C, h, w).
    """
    name = LAST_MAPS if layer is None else layer
    if len(found) != 1:
        raise ConfigError(f"layer {name!r} runs {len(found)} times for an image; name one that runs once")
    (output,) = found
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if not isinstance(output, Tensor) or output.dim() != 4:
        raise ConfigError(f"layer {name!r} gives {shape} and no maps (n, C, h, w); name a convolutional layer")
    return output
