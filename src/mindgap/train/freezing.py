"""The front of a network, kept as it is while the rest is trained."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.space.architecture import Architecture
from mindgap.space.network import Network


def check_freeze(count: int, architecture: Architecture) -> None:
    """Refuses to freeze more parts than the network has before its head.

    Raises:
        ConfigError: there are fewer.
    """
    most = 1 + len(architecture.blocks)
    if count > most:
        raise ConfigError(
            f"freeze is {count}: {architecture.name} has {most} parts before its head (the stem and {most - 1} "
            f"blocks); give {most} or less"
        )


def freeze(network: nn.Module, count: int) -> tuple[nn.Module, ...]:
    """Keeps the first parts of a network as they are: the stem, then its blocks.

    Their parameters get no gradient, so the backward pass ends before them, and an optimiser made afterwards leaves
    them out. FaHaNa (Sheng et al. 2022, "The larger the fairer?") freezes the front of a pretrained network like this.

    Args:
        network: as a mitigation adapted it.
        count: how many parts; 0 keeps none.

    Returns:
        The parts, for ``train_unfrozen``.

    Raises:
        ConfigError: the network has no such parts.
    """
    if not count:
        return ()
    if not isinstance(network, Network):
        raise ConfigError(f"freeze is {count}: the mitigation's {type(network).__name__} has no stem and blocks")
    every = (network.stem, *network.blocks)
    if count > len(every):
        raise ConfigError(f"freeze is {count}: the network has {len(every)} parts before its head; give that or less")
    parts = every[:count]
    for part in parts:
        part.requires_grad_(requires_grad=False)
    return parts


def train_unfrozen(network: nn.Module, frozen: Sequence[nn.Module]) -> None:
    """Puts a network into training mode but for its frozen parts, whose batch norms keep their statistics."""
    network.train()
    for part in frozen:
        part.eval()
