"""The modes a module can run in, and running it so for a while."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from mindgap.space.network import Network
from mindgap.train.depthwise import is_depthwise, mended_depthwise

Mode = Literal["fp32", "bf16", "fp32-mended", "bf16-mended"]
MODES: tuple[Mode, ...] = get_args(Mode)


@contextmanager
def in_modes(network: nn.Module, modes: Sequence[Mode]) -> Iterator[None]:
    """Runs stem, blocks and head of a network in their modes while the block lasts; its weights stay float32.

    A network that is not made of these parts runs as a whole: in bfloat16 if more parts than not would.
    """
    with ExitStack() as stack:
        for target, mode in _targets(network, modes):
            stack.enter_context(in_mode(target, mode))
        if isinstance(network, Network):
            stack.enter_context(in_mode(network.classifier, "fp32"))
        yield


@contextmanager
def in_mode(module: nn.Module, mode: Mode) -> Iterator[None]:
    """Runs one module in a mode while the block lasts."""
    if mode.endswith("-mended"):
        for child in module.modules():
            if isinstance(child, nn.Conv2d) and is_depthwise(child):
                _override(child, functools.partial(mended_depthwise, child))
    _override(module, functools.partial(_forward, module.forward, mode))
    try:
        yield
    finally:
        _restore(module)


def _forward(forward: Callable[[Tensor], Tensor], mode: Mode, images: Tensor) -> Tensor:
    narrow = mode.startswith("bf16")
    with torch.autocast(images.device.type, torch.bfloat16, enabled=narrow):
        return forward(images.to(torch.bfloat16 if narrow else torch.float32))


def _targets(network: nn.Module, modes: Sequence[Mode]) -> list[tuple[nn.Module, Mode]]:
    if isinstance(network, Network) and len(network.blocks) + 2 == len(modes):
        return list(zip((network.stem, *network.blocks, network.head), modes, strict=True))
    wide = sum(mode.startswith("fp32") for mode in modes) * 2 >= len(modes)
    return [(network, "fp32" if wide else "bf16")]


def _override(module: nn.Module, forward: Callable[..., Tensor]) -> None:
    """Shadows the class's forward by the instance's own; removing it is enough to undo it."""
    module.__dict__["forward"] = forward


def _restore(module: nn.Module) -> None:
    for child in module.modules():
        child.__dict__.pop("forward", None)
