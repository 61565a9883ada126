"""The layers of a network whose channels can be removed, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import nn

from mindgap.core.errors import ConfigError, UnknownNameError, near_names
from mindgap.space.network import Network


def prunable_layers(network: Network) -> dict[str, nn.Module]:
    """Every layer whose output (B, C, h, w) has channels that can be removed, from the image to the classifier.

    These are ``stem``, ``blocks.N`` and ``head`` where they hold a convolution, and inside them chains and units of
    convolution, norm and activation, such as ``blocks.7.body.first``, and single convolutions outside of units, as
    timm's networks have them. A layer's name is its module's path.
    """
    parts = {"stem": network.stem, **{f"blocks.{name}": of for name, of in network.blocks.named_children()}}
    layers: dict[str, nn.Module] = {}
    for name, part in (parts | {"head": network.head}).items():
        if _holds_convolution(part):
            layers |= {name: part, **dict(_inside(part, name))}
    return layers


def choose_layers(network: Network, names: Iterable[str] | None = None) -> dict[str, nn.Module]:
    """The named layers, or the last convolutional stage (Wei & Chakraborti, §2.3): the head, else the last block.

    Raises:
        UnknownNameError: the network has no such layer.
        ConfigError: it has no channels to remove, or the network has no convolution.
    """
    layers = prunable_layers(network)
    if names is None:
        outer = _outer(layers)
        if not outer:
            raise ConfigError("the network has no convolution, so no channels can be removed; take another network")
        names = outer[-1:]
    return {name: layers[name] if name in layers else _refuse(network, layers, name) for name in names}


def _holds_convolution(module: nn.Module) -> bool:
    return any(isinstance(part, nn.Conv2d) for part in module.modules())


def _is_unit(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and isinstance(getattr(module, "conv", None), nn.Conv2d)


def _inside(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """Chains, units and convolutions below a module, but not the parts of units."""
    if _is_unit(module):
        return
    for child_name, child in module.named_children():
        path = f"{name}.{child_name}"
        if isinstance(child, (nn.Sequential, nn.Conv2d)) and _holds_convolution(child):
            yield path, child
        yield from _inside(child, path)


def _refuse(network: Network, layers: Iterable[str], name: str) -> nn.Module:
    modules = dict(network.named_modules())
    known = list(layers)
    near = near_names(name, known, listed=_outer(known))
    if name in modules and name:
        what = type(modules[name]).__name__
        raise ConfigError(f"layer {name!r} is no convolution ({what}) and has no channels to remove; {near}")
    raise UnknownNameError(f"the network has no layer {name!r}; {near}")


def _outer(layers: Iterable[str]) -> list[str]:
    """The stem, the blocks and the head, without what is inside them."""
    return [name for name in layers if name.count(".") == name.startswith("blocks.")]
