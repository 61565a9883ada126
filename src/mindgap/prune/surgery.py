"""Physical removal of channels: a smaller network, and the architecture that describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mindgap.core.errors import ConfigError
from mindgap.prune.coupling import Channels, coupled_channels, map_channels
from mindgap.prune.exactness import remove_exactly
from mindgap.prune.layers import choose_layers, prunable_layers
from mindgap.space.architecture import Architecture, Backbone
from mindgap.space.block import BLOCKS
from mindgap.space.narrowing import narrowed_shapes
from mindgap.space.network import Network
from mindgap.space.timm_backbone import build_backbone


@dataclass(frozen=True, eq=False)
class Pruned:
    """A network without some channels.

    Attributes:
        architecture: by which it can be built, saved and loaded like any other.
        network: a new one, in the mode and on the device of the one it was made of; nothing is shared.
        removed: every convolution that lost output channels, by its layer's name, and which: those that were asked for,
            and those that had to go with them. Numbers are those of the network before.
    """

    architecture: Architecture
    network: Network
    removed: Mapping[str, tuple[int, ...]]


def remove_channels(architecture: Architecture, network: Network, channels: Channels) -> Pruned:
    """Removes output channels of layers, with their norms, all that is coupled, and the inputs of what follows.

    In evaluation mode the result computes what the network computes with these channels silent (``masked``): batch-norm
    shifts of removed channels act no longer. A residual stage loses the same channels in each of its blocks.

    Args:
        architecture: of the network.
        network: is left as it was.
        channels: numbers of output channels per layer of ``prunable_layers``.

    Raises:
        UnknownNameError: the network has no such layer.
        ConfigError: the layer has no such channel or would lose its last, the network is not in its architecture's
            form, channels that would have to go cannot, as single ones of grouped convolutions, or the logits of two
            images of noise are not those with the channels silent, as where something normalises across channels.
    """
    choose_layers(network, channels)
    _check_form(network, architecture, "it was trained in another form; prune a network that was not")
    coupled = coupled_channels(network, channels, px=architecture.input_px)
    units = {
        f"{name}.conv": name for name, layer in prunable_layers(network).items() if not isinstance(layer, nn.Conv2d)
    }
    removed = {
        units.get(name, name): of
        for name, of in coupled.outputs.items()
        if isinstance(network.get_submodule(name), (nn.Conv2d, nn.Linear))
    }
    pruned = remove_exactly(coupled, px=architecture.input_px, layers=channels)
    described = describe(pruned, architecture)
    _check_form(pruned, described, "its blocks cannot say these numbers of channels; name other layers")
    return Pruned(described, pruned, removed)


def describe(network: Network, before: Architecture) -> Architecture:
    """The architecture of a network some of whose channels were removed.

    Args:
        network: after the removal.
        before: its architecture before.

    Raises:
        ConfigError: the network does not compute.
    """
    names = [f"blocks.{name}" for name, _ in network.blocks.named_children()]
    widths = map_channels(network, ["stem", *names], px=before.input_px)
    stem = before.stem.model_copy(update={"channels": widths["stem"]})
    if isinstance(stem, Backbone):
        with torch.device("meta"):
            whole = build_backbone(stem.name)
        stem = stem.model_copy(update={"narrowed": narrowed_shapes(network.stem, whole)})
    channels, blocks = stem.channels, []
    for spec, name in zip(before.blocks, names, strict=True):
        choices = BLOCKS.get(spec.type)().choices_of(
            network.get_submodule(name), channels, widths[name], spec.stride, **spec.choices
        )
        blocks.append(spec.model_copy(update={"out_channels": widths[name], "choices": choices}))
        channels = widths[name]
    head = before.head
    if head.width is not None:
        head = head.model_copy(update={"width": network.map_channels})
    return before.model_copy(update={"stem": stem, "blocks": tuple(blocks), "head": head})


def _check_form(network: Network, architecture: Architecture, otherwise: str) -> None:
    """Checks that the architecture builds tensors of just the network's names and shapes."""
    with torch.device("meta"):
        built = architecture.build().state_dict()
    own = network.state_dict()
    odd = [name for name in {**built, **own} if _shape(built.get(name)) != _shape(own.get(name))]
    if odd:
        name, here, there = odd[0], _shape(own.get(odd[0])), _shape(built.get(odd[0]))
        raise ConfigError(f"{name} is {here} in the network and {there} by {architecture.name!r}: {otherwise}")


def _shape(tensor: Tensor | None) -> tuple[int, ...] | str:
    return "missing" if tensor is None else tuple(tensor.shape)
