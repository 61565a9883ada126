"""What a network costs: parameters, multiply-adds, and milliseconds on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

import torch
from torch import nn

from mindgap.space.architecture import AnyStem, Architecture, Backbone, BlockSpec, Choice, Head
from mindgap.space.block import BLOCKS, AbstractBlock
from mindgap.space.latency_table import BlockLatencyTable
from mindgap.space.layers import Cost, conv_cost, shrunk
from mindgap.space.timm_backbone import backbone_cost

__all__ = [
    "BlockLatencyTable",
    "Cost",
    "block_cost",
    "count_cost",
    "head_cost",
    "measure_latencies_ms",
    "measure_latency_ms",
    "one_pass",
    "stem_cost",
    "stem_px",
]

WARM_UP_ROUNDS = 3


def count_cost(architecture: Architecture) -> Cost:
    """Parameters and multiply-adds per image of an architecture, without building it.

    Convolutions and linear layers count; batch norm, activations and pooling count 0 MACs.

    Raises:
        ConfigError: a block's choices do not fit.
        UnknownNameError: a block's type is not registered.
        CapacityError: the package of a backbone is not installed.
    """
    channels = architecture.stem.channels
    px = stem_px(architecture.stem, architecture.input_px)
    total = stem_cost(architecture.stem, architecture.input_px)
    for spec in architecture.blocks:
        total += block_cost(spec, channels, px)
        channels, px = spec.out_channels, shrunk(px, spec.stride)
    return total + head_cost(architecture.head, channels, px, num_classes=architecture.num_classes)


def stem_px(stem: AnyStem, input_px: int) -> int:
    """Side of the map after the stem."""
    return shrunk(input_px, stem.stride)


def stem_cost(stem: AnyStem, input_px: int) -> Cost:
    """Cost of the stem; its pool is free."""
    if isinstance(stem, Backbone):
        return backbone_cost(stem, input_px)
    return conv_cost(3, stem.channels, kernel=3 if stem.kind == "3x3" else 7, px=shrunk(input_px, 2))


def block_cost(spec: BlockSpec, in_channels: int, px: int) -> Cost:
    """Cost of one block on an input of ``in_channels`` maps of px × px; remembered."""
    choices = tuple(sorted(spec.choices.items()))
    return _block_cost(BLOCKS.get(spec.type), in_channels, spec.out_channels, spec.stride, px, choices)


def head_cost(head: Head, in_channels: int, px: int, *, num_classes: int) -> Cost:
    """Cost of the head convolution, the hidden layer and the classifier on maps of px × px."""
    widths = [in_channels if head.width is None else head.width, head.hidden, num_classes]
    layers = pairwise(width for width in widths if width is not None)
    linear = sum((Cost((before + 1) * after, before * after) for before, after in layers), start=Cost(0, 0))
    return linear if head.width is None else conv_cost(in_channels, head.width, kernel=1, px=px) + linear


@lru_cache(maxsize=1 << 16)
def _block_cost(
    block: type[AbstractBlock],
    in_channels: int,
    out_channels: int,
    stride: int,
    px: int,
    choices: tuple[tuple[str, Choice], ...],
) -> Cost:
    given: Mapping[str, Choice] = dict(choices)
    instance = block()
    instance.check(**given)
    return instance.cost(in_channels, out_channels, stride, px, **given)


def measure_latency_ms(network: nn.Module, input_px: int, *, rounds: int = 30) -> float:
    """Median milliseconds of one forward pass of one image, in eval mode, channels-last float32, where the network is.

    The median of short single passes is robust to another process waking up in between. The network's mode is put back.
    """
    device = next(network.parameters(), torch.empty(0)).device
    image = torch.zeros(1, 3, input_px, input_px, device=device).contiguous(memory_format=torch.channels_last)
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            seconds = [one_pass(network, image) for _ in range(WARM_UP_ROUNDS + rounds)][WARM_UP_ROUNDS:]
    finally:
        network.train(was_training)
    return 1e3 * statistics.median(seconds)


def measure_latencies_ms(networks: Sequence[nn.Module], input_px: int, *, turns: int = 10) -> list[float]:
    """``measure_latency_ms`` of several networks in turns, the median of each one's, so that they can be compared.

    What else the machine does in a moment falls on all of them alike.
    """
    measured = [[measure_latency_ms(network, input_px, rounds=5) for network in networks] for _ in range(turns)]
    return [statistics.median(of_one) for of_one in zip(*measured, strict=True)]


def one_pass(network: nn.Module, image: torch.Tensor) -> float:
    """Seconds of one forward pass, to its end on the device."""
    started = time.perf_counter()
    network(image)
    if image.is_cuda:
        torch.cuda.synchronize(image.device)
    return time.perf_counter() - started
