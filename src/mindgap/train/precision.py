"""How each part of a network is computed: bfloat16 or float32, stock or mended depthwise gradients, fused norms or not.

No rule fits every processor, so the parts of a network are timed where it runs, forward and backward, and each gets its
fastest mode. The timings are a plan that can be stored as JSON and reused, so that results do not depend on load.
"""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mindgap.core.config import StrictModel
from mindgap.space.architecture import AnyStem, Architecture, BlockSpec, Head
from mindgap.space.layers import shrunk
from mindgap.space.network_builder import build_block, build_head, build_stem
from mindgap.train.depthwise import is_depthwise
from mindgap.train.fused_kernels import compiled_operations
from mindgap.train.memory import channels_last, keep_freed_memory
from mindgap.train.modes import MODES, Mode, fused_mode, in_mode, is_fused, is_mended, is_narrow
from mindgap.train.remembered import remembered

Precision = Literal["auto", "fp32", "bf16"]

_MARGIN = 1.03  # bfloat16 has to win by more than the noise of timing
_MOST_ROUNDS, _LEAST_ROUNDS, _PART_SECONDS = 5, 2, 0.5
_MOST_PIXELS = 2**16  # of a timed batch's map: larger batches take longer and rank the modes alike
_HOPELESS = 2.0


class Part(StrictModel):
    """A part of a network as it is timed: a stem, a block or a head, on an input map.

    Attributes:
        kind: ``stem``, ``head`` or ``block``.
        spec: its description in the architecture.
        in_channels: channels of its input.
        px: side of its input map.
    """

    kind: Literal["stem", "block", "head"]
    spec: AnyStem | BlockSpec | Head
    in_channels: int
    px: int

    def build(self) -> nn.Module:
        """The part with weights of no matter."""
        if isinstance(self.spec, BlockSpec):
            return build_block(self.spec, self.in_channels)
        return build_head(self.spec, self.in_channels) if isinstance(self.spec, Head) else build_stem(self.spec)

    @property
    def family(self) -> tuple[object, ...]:
        """What parts should share for one to stand in for another's timing, the most important first."""
        if not isinstance(self.spec, BlockSpec):
            return (self.kind,)
        return ("block", self.spec.type, self.spec.stride, self.spec.choices.get("kernel"))

    @property
    def sizes(self) -> tuple[float, ...]:
        """Logarithms of map side and channels, between which distance is measured."""
        width = self.spec.width if isinstance(self.spec, Head) else None
        choices: Mapping[str, object] = {}
        if isinstance(self.spec, BlockSpec):
            out, choices = self.spec.out_channels, self.spec.choices
        else:
            out = width if isinstance(self.spec, Head) else self.spec.channels
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
        return min(modes, key=lambda mode: modes[mode] * (_MARGIN if is_narrow(mode) else 1.0))


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
        """The mode of a part: its own timing's, else that of the part most like it, else float32."""
        if self.fixed is not None:
            return self.fixed
        for detail in range(len(part.family), 0, -1):
            alike = [timing for timing in self.timings if timing.part.family[:detail] == part.family[:detail]]
            if alike:
                break
        else:
            return "fp32"
        return min(alike, key=lambda timing: math.dist(timing.part.sizes, part.sizes)).best

    def modes(self, architecture: Architecture) -> tuple[Mode, ...]:
        """The mode of each part of ``network_parts``."""
        return tuple(self.mode(part) for part in network_parts(architecture))


FP32 = PrecisionPlan(fixed="fp32")
BF16 = PrecisionPlan(fixed="bf16-mended")
_FUSED_BF16 = PrecisionPlan(fixed="bf16-mended-fused")


def network_parts(architecture: Architecture) -> tuple[Part, ...]:
    """Stem, blocks and head of a network, each with the size of the map it is given."""
    px, stem = architecture.input_px, architecture.stem
    parts = [Part(kind="stem", spec=stem, in_channels=3, px=px)]
    px, channels = shrunk(px, stem.stride), stem.channels
    for block in architecture.blocks:
        parts.append(Part(kind="block", spec=block, in_channels=channels, px=px))
        px, channels = shrunk(px, block.stride), block.out_channels
    parts.append(Part(kind="head", spec=architecture.head, in_channels=channels, px=px))
    return tuple(parts)


def make_plan(
    precision: Precision, architecture: Architecture, *, batch_size: int, device: torch.device | str = "cpu"
) -> PrecisionPlan:
    """The plan of one network: ``fp32`` or ``bf16`` everywhere, or ``auto``, timed once and remembered.

    A run that is begun again, its next fold, and one with another seed have the same plan on the same machine. ``fp32``
    is plain PyTorch; the others fuse batch norms on a processor where these can be compiled.
    """
    kind = torch.device(device).type
    if precision == "fp32":
        return FP32
    if kind != "cpu":
        return PrecisionPlan(device=kind, fixed="bf16")
    if precision == "bf16":
        return BF16 if compiled_operations() is None else _FUSED_BF16
    parts = network_parts(architecture)
    question = "\n".join([*question_of_modes(batch_size), *(part.model_dump_json() for part in parts)])
    measure = functools.partial(measure_plan, parts, batch_size=batch_size)
    return remembered("precision", question, PrecisionPlan, measure=measure)


def question_of_modes(batch_size: int) -> list[str]:
    """What a timed plan depends on besides the networks and the machine; a compiler may come or go."""
    return [str(batch_size), "stock" if compiled_operations() is None else "fused"]


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


def time_part(part: Part, *, batch_size: int) -> PartTiming:
    """Times one part in the modes that apply, in turns, and keeps each one's fastest round.

    Large maps are timed in smaller batches, scaled up. A mode that took twice as long as another in the first round has
    no further one, and is not tried with fused batch norms either. Rounds end after half a second.
    """
    module = channels_last(part.build()).train()
    if not list(module.parameters()):
        return PartTiming(part=part, milliseconds={"fp32": 0.0})
    timed = min(batch_size, max(1, _MOST_PIXELS // part.px**2))
    has_depthwise = any(is_depthwise(child) for child in module.modules())
    images = torch.randn(timed, part.in_channels, part.px, part.px).contiguous(memory_format=torch.channels_last)

    def play(mode: Mode) -> float:
        return pass_seconds(module, images, mode, input_gradient=part.kind != "stem")

    best: dict[Mode, float] = {}
    hopeful: list[Mode] = []
    for fused in (False, True)[: 1 if compiled_operations() is None else 2]:
        plain: list[Mode] = [mode for mode in MODES if not is_fused(mode) and (has_depthwise or not is_mended(mode))]
        modes: list[Mode] = [fused_mode(mode) for mode in hopeful] if fused else plain
        for mode in modes:
            play(mode)
        best |= {mode: play(mode) for mode in modes}
        hopeful = [mode for mode in best if best[mode] < _HOPELESS * min(best.values())]
    begin, turn = time.perf_counter(), 1
    while turn < _LEAST_ROUNDS or (turn < _MOST_ROUNDS and time.perf_counter() - begin < _PART_SECONDS):
        best |= {mode: min(best[mode], play(mode)) for mode in hopeful}
        turn += 1
    scale = 1000.0 * batch_size / timed
    return PartTiming(part=part, milliseconds={mode: round(scale * best[mode], 4) for mode in best})


def pass_seconds(module: nn.Module, images: Tensor, mode: Mode, *, input_gradient: bool) -> float:
    """Processor seconds of one forward and backward pass in a mode; images (B, C, H, W), channels_last."""
    dtype = torch.bfloat16 if is_narrow(mode) else torch.float32
    images = images.to(dtype).requires_grad_(input_gradient)
    module.zero_grad(set_to_none=True)
    with in_mode(module, mode):
        # Processor time, not the clock's: other processes on the machine must not decide.
        begin = time.process_time()
        output = module(images)
        output.backward(output.detach())
        return time.process_time() - begin
