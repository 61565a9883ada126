"""Networks in which channels are silent, as if they were removed."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mindgap.prune.coupling import Channels, coupled_channels
from mindgap.prune.layers import choose_layers
from mindgap.space.network import Network


@contextmanager
def masked(network: Network, channels: Channels, *, px: int = 64) -> Iterator[None]:
    """Silences channels while the block lasts, exactly as their removal does in evaluation mode.

    What is coupled is silent too: the same channels of every member of a residual stage, and those of depthwise
    convolutions, whose batch norms would give a constant otherwise.

    Args:
        network: its modules get hooks, which are taken off again.
        channels: see ``remove_channels``.
        px: side of an image that the network takes.

    Raises:
        MindgapError: see ``remove_channels``.
    """
    choose_layers(network, channels)
    with silenced(network, coupled_channels(network, channels, px=px).outputs):
        yield


@contextmanager
def silenced(network: Network, outputs: Channels) -> Iterator[None]:
    """Makes these channels of what modules put out 0 while the block lasts, and no others.

    Args:
        network: its modules get hooks, which are taken off again.
        outputs: numbers of channels by the module's name, see ``Coupled.outputs``.
    """
    hooks = []
    try:
        for name, silent in outputs.items():
            index = torch.tensor(list(silent), device=network.classifier.weight.device)
            hooks.append(network.get_submodule(name).register_forward_hook(functools.partial(_silence, index)))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _silence(channels: Tensor, _: nn.Module, __: Any, output: Tensor) -> Tensor:
    return output.index_fill(1, channels, 0.0)
