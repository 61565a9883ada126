"""The modes a module can run in, and running it so for a while."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from mindgap.space.network import Network
from mindgap.train.depthwise import is_depthwise, mended_depthwise
from mindgap.train.fused_modules import fused_forwards
from mindgap.train.touched_taps import cropped_convolution, is_croppable

Mode = Literal[
    "fp32",
    "bf16",
    "fp32-mended",
    "bf16-mended",
    "fp32-fused",
    "bf16-fused",
    "fp32-mended-fused",
    "bf16-mended-fused",
]
MODES: tuple[Mode, ...] = get_args(Mode)


def is_narrow(mode: Mode) -> bool:
    """Whether a mode computes in bfloat16."""
    return mode.startswith("bf16")


def types_of(modes: Sequence[Mode]) -> str:
    """The types that parts in these modes are computed in: ``float32``, ``bfloat16``, or both."""
    narrow = [is_narrow(mode) for mode in modes]
    return " and ".join([*["float32"] * (not all(narrow)), *["bfloat16"] * any(narrow)])


def is_mended(mode: Mode) -> bool:
    """Whether depthwise convolutions have mended gradients (``depthwise.py``)."""
    return "-mended" in mode


def is_fused(mode: Mode) -> bool:
    """Whether batch norms are fused with what follows them (``fused_norm.py``)."""
    return mode.endswith("-fused")


def fused_mode(mode: Mode) -> Mode:
    """The mode that is as this one, with fused batch norms."""
    return mode if is_fused(mode) else cast("Mode", f"{mode}-fused")


@contextmanager
def in_modes(network: nn.Module, modes: Sequence[Mode]) -> Iterator[None]:
    """Runs stem, blocks and head of a network in their modes while the block lasts; its weights stay float32.

    A network that is not made of these parts runs as a whole: in bfloat16 if more parts than not would.
    """
    with ExitStack() as stack:
        for target, mode in _targets(network, modes):
            stack.enter_context(in_mode(target, mode))
        if isinstance(network, Network):
            if not isinstance(network.hidden, nn.Identity):
                stack.enter_context(in_mode(network.hidden, "fp32"))
            stack.enter_context(in_mode(network.classifier, "fp32"))
        yield


@contextmanager
def in_mode(module: nn.Module, mode: Mode) -> Iterator[None]:
    """Runs one module in a mode while the block lasts."""
    for child in module.modules():
        if is_mended(mode) and isinstance(child, nn.Conv2d) and is_depthwise(child):
            _override(child, functools.partial(mended_depthwise, child))
        elif is_narrow(mode) and is_croppable(child):
            _override(child, functools.partial(cropped_convolution, child))
    if is_fused(mode):
        for child, forward in fused_forwards(module):
            _override(child, forward)
    _override(module, functools.partial(_forward, module.forward, mode))
    try:
        yield
    finally:
        _restore(module)


def _forward(forward: Callable[[Tensor], Tensor], mode: Mode, images: Tensor) -> Tensor:
    narrow = is_narrow(mode)
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
