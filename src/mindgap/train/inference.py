"""A network prepared for predicting alone: batch norms folded into convolutions, channels innermost, bfloat16 weights.

In evaluation a batch norm is a fixed scale and shift per channel. Folded into the convolution before it, it costs
nothing, and in bfloat16 the weights are rounded once instead of at every call.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mindgap.core.config import StrictModel
from mindgap.space.architecture import Architecture
from mindgap.space.layers import ACTIVATIONS, Residual
from mindgap.space.network import Network
from mindgap.train.memory import channels_last, keep_freed_memory
from mindgap.train.modes import Mode, in_mode
from mindgap.train.precision import FP32, Precision, PrecisionPlan
from mindgap.train.remembered import remembered

NetworkT = TypeVar("NetworkT", bound=nn.Module)
_PLAIN = {nn.Sequential, nn.Conv2d, nn.BatchNorm2d, nn.Identity, nn.MaxPool2d, Residual, *ACTIVATIONS.values()}
"""Modules that compute in the type of their weights; others may expect float32 ones."""
_BF16 = PrecisionPlan(fixed="bf16")
_MARGIN, _ROUNDS, _PIXELS = 1.03, 3, 2**16


class InferenceNetwork(nn.Module):
    """The logits of a network, from a copy of it that is made to predict fast; later changes do not reach it.

    float32 parts give the network's own logits but for rounding; bfloat16 parts have 8 bits of mantissa.
    """

    def __init__(self, network: Network, modes: Sequence[Mode]) -> None:
        """Copies the network.

        Args:
            network: on any device.
            modes: of stem, blocks and head; which gradients are mended does not matter here.
        """
        super().__init__()
        folded = channels_last(fold_batch_norms(network))
        parts = zip((folded.stem, *folded.blocks, folded.head), modes, strict=True)
        self.parts = nn.ModuleList(_in_type(part, mode) for part, mode in parts)
        self.pool = folded.pool
        self.hidden = folded.hidden
        self.classifier = folded.classifier

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images to the float32 penultimate features, (B, F)."""
        for part in self.parts:
            images = part(images)
        return self.hidden(self.pool(images.float()).flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images to float32 logits, (B, C)."""
        return self.classifier(self.features(images))


def fold_batch_norms(network: NetworkT) -> NetworkT:
    """A copy in evaluation mode, in which a batch norm that follows a convolution in a sequence is part of it.

    w' = w·γ/√(σ² + ε), b' = β − μ·γ/√(σ² + ε), per output channel.
    """
    folded = copy.deepcopy(network).eval()
    for sequence in [module for module in folded.modules() if type(module) is nn.Sequential]:
        children = list(sequence.named_children())
        for (first, conv), (second, norm) in pairwise(children):
            if type(conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d:
                sequence.add_module(first, fuse_conv_bn_eval(conv, norm))
                sequence.add_module(second, nn.Identity())
    return folded


def inference_modes(
    architecture: Architecture, *, precision: Precision = "auto", device: torch.device | str = "cpu"
) -> tuple[Mode, ...]:
    """How each part is computed in predicting: ``auto`` is bfloat16 where it is faster by more than 3 %.

    On a processor both are timed once per network and remembered, so that no result depends on the machine's load. What
    counts is processor time, the sum over all threads: with several of them it is the type that costs less work, which
    need not be the one that is done first.
    """
    if precision == "auto" and torch.device(device).type == "cpu":
        choice = remembered("inference", architecture.to_json(), _Choice, measure=lambda: _timed(architecture))
        precision = choice.precision
    return (FP32 if precision == "fp32" else _BF16).modes(architecture)


class _Choice(StrictModel):
    """Milliseconds of one batch, and the type they speak for."""

    fp32_ms: float
    bf16_ms: float

    @property
    def precision(self) -> Precision:
        return "bf16" if self.bf16_ms * _MARGIN < self.fp32_ms else "fp32"


def _timed(architecture: Architecture) -> _Choice:
    keep_freed_memory()
    network, px = architecture.build(), architecture.input_px
    contestants = {plan: InferenceNetwork(network, plan.modes(architecture)) for plan in (FP32, _BF16)}
    generator = torch.Generator().manual_seed(0)  # a run's own draws must not depend on whether it was timed
    images = torch.randn(max(1, _PIXELS // px**2), 3, px, px, generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    best: dict[str, float] = {}
    with torch.inference_mode():
        for turn in range(1 + _ROUNDS):
            for plan, contestant in contestants.items():
                begin = time.process_time()  # other processes on the machine must not decide
                contestant(images)
                seconds, key = time.process_time() - begin, str(plan.fixed)
                best[key] = min(best.get(key, seconds), seconds) if turn > 1 else seconds
    return _Choice(fp32_ms=1000 * best[str(FP32.fixed)], bf16_ms=1000 * best[str(_BF16.fixed)])


class _Typed(nn.Module):
    """A part whose input is taken in the type it computes in."""

    def __init__(self, part: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.part = part.to(dtype)
        self.dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        return self.part(images.to(self.dtype))


class _Cast(nn.Module):
    """A part of unknown modules, whose weights stay float32 and are cast at every call."""

    def __init__(self, part: nn.Module, mode: Mode) -> None:
        super().__init__()
        self.part = part
        self.mode: Mode = mode

    def forward(self, images: Tensor) -> Tensor:
        with in_mode(self.part, self.mode):
            return self.part(images)


def _in_type(part: nn.Module, mode: Mode) -> nn.Module:
    if mode.startswith("fp32"):
        return _Typed(part, torch.float32)
    if any(type(module) not in _PLAIN for module in part.modules()):
        return _Cast(part, "bf16")
    narrow = _Typed(part, torch.bfloat16)
    for module in narrow.modules():
        if isinstance(module, nn.BatchNorm2d):  # not after a convolution: its statistics need their bits
            module.float()
    return narrow
