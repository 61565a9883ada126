"""How long a candidate will train, predicted from what its network computes.

A step's time is linear in a few counts of the network's parts: multiply-adds of dense and of depthwise convolutions,
values that convolutions read and write, values that the other layers write, and the number of layers. Multiply-adds
alone say little: of 12 random candidates of the default space at 64 px their rank correlation (τ) with the measured
time was .21, that of the five counts together .88 (``benchmarks/cost_model.py``).

The weights of the counts come from the parts that the precision plan timed before slot 0; the level, which load moves,
from the candidates that are done. Predictions tell users how long a search will take and decide whether a candidate is
begun shortly before a deadline; they never enter a reward or a proposal.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import nnls
from torch import Tensor, nn

from mindgap.core.config import StrictModel
from mindgap.space.architecture import Architecture
from mindgap.train.precision import Part, PrecisionPlan, network_parts

COUNTS = ("dense MACs", "depthwise MACs", "convolved values", "other values", "layers")
# Of one core of an Intel Xeon (Sapphire Rapids generation), for machines whose parts were not timed.
TYPICAL = (5e-12, 2e-11, 9e-10, 1.7e-9, 1e-5)
BEYOND_PARTS = 1.3  # a whole step over the sum of its parts: augmentation, loss, optimiser; measured 1.2 to 1.4
FEWEST = 3  # timed parts that tell a machine from the typical one


class CostModel(StrictModel):
    """Seconds of training per image, linear in the counts.

    Attributes:
        seconds: per image and unit of each of ``COUNTS``.
        timed: parts that were timed for it; 0 if ``seconds`` are those of another machine.
        images_per_epoch: images that pass through the network in one epoch.
    """

    seconds: tuple[float, ...] = TYPICAL
    timed: int = Field(default=0, ge=0)
    images_per_epoch: int = Field(ge=1)

    def image_seconds(self, architecture: Architecture) -> float:
        """Seconds of training per image pass, one thread, on a machine that does nothing else."""
        return BEYOND_PARTS * float(np.dot(self.seconds, network_counts(architecture)))

    def epoch_seconds(self, architecture: Architecture) -> float:
        """Seconds per epoch, likewise."""
        return self.images_per_epoch * self.image_seconds(architecture)


def fit(plan: PrecisionPlan, timings: PrecisionPlan, *, images_per_epoch: int) -> CostModel:
    """The model that fits timed parts, each in the mode that a network runs it in.

    Least squares of relative errors with weights not below 0. Too few parts for that, as on a busy machine, give the
    typical weights times the median ratio of measured and typical time.

    Args:
        plan: the modes.
        timings: the timed parts; the plan itself if its modes are chosen by timing.
        images_per_epoch: images that pass through a network in one epoch.
    """
    known = [
        (part_counts(timing.part), timing.milliseconds[mode])
        for timing in timings.timings
        if timing.milliseconds.get(mode := plan.mode(timing.part), 0.0) > 0.0
    ]
    if len(known) < FEWEST:
        return CostModel(images_per_epoch=images_per_epoch)
    counts = np.array([row for row, _ in known])
    seconds = np.array([ms for _, ms in known]) / (1e3 * timings.batch_size)
    if len(known) < 3 * len(COUNTS):
        scaled = np.array(TYPICAL) * np.median(seconds / (counts @ TYPICAL))
        return CostModel(seconds=tuple(scaled), timed=len(known), images_per_epoch=images_per_epoch)
    relative = counts / seconds[:, None]
    scale = np.maximum(relative.mean(axis=0), 1e-30)
    weights, _ = nnls(relative / scale, np.ones(len(known)))
    return CostModel(seconds=tuple(weights / scale), timed=len(known), images_per_epoch=images_per_epoch)


def network_counts(architecture: Architecture) -> NDArray[np.float64]:
    """``COUNTS`` of a network for one image, float64 (5,)."""
    return np.sum([part_counts(part) for part in network_parts(architecture)], axis=0)


def part_counts(part: Part) -> NDArray[np.float64]:
    """``COUNTS`` of a part of a network for one image, float64 (5,)."""
    return np.array(_counted(part.model_dump_json()))


@functools.lru_cache(maxsize=1 << 14)
def _counted(part_json: str) -> tuple[float, ...]:
    """Counts layer by layer on the meta device: no memory, no arithmetic."""
    part = Part.model_validate_json(part_json)
    counts = dict.fromkeys(COUNTS, 0.0)

    def count(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        counts["layers"] += 1
        if isinstance(layer, nn.Conv2d):
            kind = "depthwise MACs" if layer.groups > 1 else "dense MACs"
            counts[kind] += layer.weight[0].numel() * output.numel()
            counts["convolved values"] += inputs[0].numel() + output.numel()
        else:
            counts["other values"] += output.numel()

    with torch.device("meta"), torch.no_grad():
        module = part.build().eval()
        for layer in module.modules():
            if not isinstance(layer, nn.Identity) and not any(True for _ in layer.children()):
                layer.register_forward_hook(count)
        module(torch.empty(1, part.in_channels, part.px, part.px))
    return tuple(counts.values())
