"""How each part of a network is computed: bfloat16 or float32, stock or mended depthwise gradients.

No rule fits every processor, so the parts of a network are timed where it runs, forward and backward, and each gets its
fastest mode. The timings are a plan that can be stored as JSON and reused, so that results do not depend on load.
"""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Literal, get_args

import torch
from pydantic import Field
from torch import Tensor, nn

from mindgap.core.config import StrictModel
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.layers import shrunk
from mindgap.space.network import Network
from mindgap.space.network_builder import build_block, build_head, build_stem
from mindgap.train.depthwise import is_depthwise, mended_depthwise
from mindgap.train.memory import channels_last, keep_freed_memory

Mode = Literal["fp32", "bf16", "fp32-mended", "bf16-mended"]
MODES: tuple[Mode, ...] = get_args(Mode)
Precision = Literal["auto", "fp32", "bf16"]

_MARGIN = 1.03  # bfloat16 has to win by more than the noise of timing
_WARM_UPS, _ROUNDS = 1, 3


class Part(StrictModel):
    """A part of a network as it is timed: a stem, a block or a head, on an input map.

    Attributes:
        kind: ``stem``, ``head`` or ``block``.
        spec: its description in the architecture.
        in_channels: channels of its input.
        px: side of its input map.
    """

    kind: Literal["stem", "block", "head"]
    spec: Stem | BlockSpec | Head
    in_channels: int
    px: int

    def build(self) -> nn.Module:
        """The part with weights of no matter."""
        if isinstance(self.spec, BlockSpec):
            return build_block(self.spec, self.in_channels)
        return build_stem(self.spec) if isinstance(self.spec, Stem) else build_head(self.spec, self.in_channels)

    @property
    def family(self) -> tuple[object, ...]:
        """What parts have to share for one to stand in for another's timing."""
        if not isinstance(self.spec, BlockSpec):
            return (self.kind,)
        return ("block", self.spec.type, self.spec.stride, self.spec.choices.get("kernel"))

    @property
    def sizes(self) -> tuple[float, ...]:
        """Logarithms of map side and channels, between which distance is measured."""
        width = self.spec.width if isinstance(self.spec, Head) else None
        out = self.spec.channels if isinstance(self.spec, Stem) else width
        choices: Mapping[str, object] = {}
        if isinstance(self.spec, BlockSpec):
            out, choices = self.spec.out_channels, self.spec.choices
        hidden = choices.get("hidden_channels") or self.in_channels * int(str(choices.get("expand") or 1))
        return tuple(math.log2(float(str(value or 1))) for value in (self.px, self.in_channels, hidden, out))


class PartTiming(StrictModel):
    """Milliseconds of one forward and backward pass of a part in every mode that applies."""

    part: Part
    milliseconds: dict[Mode, float]

    @property
    def best(self) -> Mode:
        """The fastest mode; bfloat16 only where it wins by more than 3 %."""
        modes = self.milliseconds
        return min(modes, key=lambda mode: modes[mode] * (_MARGIN if mode.startswith("bf16") else 1.0))


class PrecisionPlan(StrictModel):
    """Which mode every part of a network runs in.

    Attributes:
        device: type of the device that was timed.
        batch_size: images per batch that was timed.
        fixed: one mode for everything, instead of timings.
        timings: one entry per part that was timed.
    """

    device: str = "cpu"
    batch_size: int = Field(default=0, ge=0)
    fixed: Mode | None = None
    timings: tuple[PartTiming, ...] = ()

    def mode(self, part: Part) -> Mode:
        """The mode of a part: its own timing, else that of the part most like it, else float32."""
        if self.fixed is not None:
            return self.fixed
        alike = [timing for timing in self.timings if timing.part.family == part.family]
        if not alike:
            return "fp32"
        return min(alike, key=lambda timing: math.dist(timing.part.sizes, part.sizes)).best

    def modes(self, architecture: Architecture) -> tuple[Mode, ...]:
        """The mode of each part of ``network_parts``."""
        return tuple(self.mode(part) for part in network_parts(architecture))


FP32 = PrecisionPlan(fixed="fp32")
BF16 = PrecisionPlan(fixed="bf16-mended")


def network_parts(architecture: Architecture) -> tuple[Part, ...]:
    """Stem, blocks and head of a network, each with the size of the map it is given."""
    px, stem = architecture.input_px, architecture.stem
    parts = [Part(kind="stem", spec=stem, in_channels=3, px=px)]
    px, channels = shrunk(px, 4 if stem.kind == "7x7+pool" else 2), stem.channels
    for block in architecture.blocks:
        parts.append(Part(kind="block", spec=block, in_channels=channels, px=px))
        px, channels = shrunk(px, block.stride), block.out_channels
    parts.append(Part(kind="head", spec=architecture.head, in_channels=channels, px=px))
    return tuple(parts)


def make_plan(
    precision: Precision, architecture: Architecture, *, batch_size: int, device: torch.device | str = "cpu"
) -> PrecisionPlan:
    """The plan of one network: ``fp32`` or ``bf16`` everywhere, or ``auto``, timed and kept for this process."""
    kind = torch.device(device).type
    if precision == "fp32":
        return FP32
    if precision == "bf16" or kind != "cpu":
        return BF16 if kind == "cpu" else PrecisionPlan(device=kind, fixed="bf16")
    return measure_plan(network_parts(architecture), batch_size=batch_size)


def measure_plan(parts: Sequence[Part], *, batch_size: int, seconds: float = 10.0) -> PrecisionPlan:
    """Times the parts on this processor, as many as fit into the time, in their order.

    Args:
        parts: what to time; repeated parts are timed once.
        batch_size: images per batch.
        seconds: how long it may take; a part begun is finished.
    """
    keep_freed_memory()
    end = time.perf_counter() + seconds
    timings: list[PartTiming] = []
    for part in {part.model_dump_json(): part for part in parts}.values():
        if time.perf_counter() > end:
            break
        timings.append(_timed(part.model_dump_json(), batch_size, torch.get_num_threads()))
    return PrecisionPlan(device="cpu", batch_size=batch_size, timings=tuple(timings))


def plan_for_architectures(
    architectures: Sequence[Architecture], *, batch_size: int, seconds: float = 10.0
) -> PrecisionPlan:
    """A plan for many networks, such as a sample of a search space, made once and stored.

    Kinds of parts take turns, so that each kind has been timed at some sizes when the time is up.
    """
    families: dict[tuple[object, ...], list[Part]] = {}
    for part in (part for architecture in architectures for part in network_parts(architecture)):
        alike = families.setdefault(part.family, [])
        if part not in alike:
            alike.append(part)
    turns = itertools.zip_longest(*families.values())
    parts = [part for turn in turns for part in turn if part is not None]
    return measure_plan(parts, batch_size=batch_size, seconds=seconds)


@functools.lru_cache(maxsize=4096)
def _timed(part_json: str, batch_size: int, threads: int) -> PartTiming:  # noqa: ARG001  (threads is part of the key)
    part = Part.model_validate_json(part_json)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return time_part(part, batch_size=batch_size)


def time_part(part: Part, *, batch_size: int, rounds: int = _ROUNDS) -> PartTiming:
    """Times one part in every mode that applies, modes interleaved, and keeps each mode's fastest round."""
    module = channels_last(part.build()).train()
    if not list(module.parameters()):
        return PartTiming(part=part, milliseconds={"fp32": 0.0})
    has_depthwise = any(is_depthwise(child) for child in module.modules())
    modes: list[Mode] = [mode for mode in MODES if has_depthwise or not mode.endswith("-mended")]
    images = torch.randn(batch_size, part.in_channels, part.px, part.px).contiguous(memory_format=torch.channels_last)
    best: dict[Mode, float] = dict.fromkeys(modes, math.inf)
    for turn in range(_WARM_UPS + rounds):
        for mode in modes:
            elapsed = 1000.0 * _pass_seconds(module, images, mode, input_gradient=part.kind != "stem")
            if turn >= _WARM_UPS:
                best[mode] = min(best[mode], elapsed)
    return PartTiming(part=part, milliseconds={mode: round(value, 4) for mode, value in best.items()})


def _pass_seconds(module: nn.Module, images: Tensor, mode: Mode, *, input_gradient: bool) -> float:
    dtype = torch.bfloat16 if mode.startswith("bf16") else torch.float32
    images = images.to(dtype).requires_grad_(input_gradient)
    module.zero_grad(set_to_none=True)
    with in_mode(module, mode):
        begin = time.perf_counter()
        output = module(images)
        output.backward(output.detach())
        return time.perf_counter() - begin


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
