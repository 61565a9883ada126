"""What some layers of a network put out for a batch of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn

from mindgap.core.errors import ConfigError
from mindgap.prune.importance import Layers


class Activations(NamedTuple):
    """A batch's way through a network.

    Attributes:
        logits: (B, C).
        maps: the output (B, channels, H, W) of each layer, by name, in the order of the layers asked for.
    """

    logits: Tensor
    maps: dict[str, Tensor]


def layer_outputs(network: Callable[[Tensor], Tensor], layers: Layers, images: Tensor) -> Activations:
    """Runs the network and keeps what the layers put out, before anything that follows overwrites it in place.

    With gradients enabled the logits depend on the maps, so that they can be differentiated by them.

    Args:
        network: left as it was; its mode, and whether gradients are kept, are the caller's. Any function that calls it
            will do.
        layers: of the network, by name.
        images: (B, 3, S, S), normalised.

    Raises:
        ConfigError: a layer puts out no maps, is not called, or is called more than once.
    """
    found: dict[str, Tensor] = {}
    with ExitStack() as stack:
        for name, layer in layers.items():
            stack.enter_context(_recording(name, layer, found))
        logits = network(images)
    for name in layers:
        if name not in found:
            raise ConfigError(f"layer {name!r} is not called when the network is; name another layer")
    return Activations(logits, {name: found[name] for name in layers})


@contextmanager
def _recording(name: str, layer: nn.Module, found: dict[str, Tensor]) -> Iterator[None]:
    def record(_: nn.Module, __: tuple[Any, ...], output: Any) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim != 4:
            given = f"a tensor of shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
            raise ConfigError(
                f"layer {name!r} puts out {given}, no maps (images, channels, height, width); "
                "name a layer that does, such as a convolution or a block"
            )
        if name in found:
            raise ConfigError(f"layer {name!r} is called more than once; name the layer that holds it, or another")
        found[name] = output
        return output.clone()  # which an activation may overwrite

    handle = layer.register_forward_hook(record)
    try:
        yield
    finally:
        handle.remove()
