"""Measures a space's latency table on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import torch
from torch import nn

from mindgap.space.architecture import BlockSpec, Choice, Head
from mindgap.space.cost import WARM_UP_ROUNDS, measure_latency_ms, one_pass
from mindgap.space.latency_table import (
    STEM,
    BlockLatencyTable,
    LatencyGrid,
    block_key,
    channel_corners,
    fixed_combinations,
    head_key,
)
from mindgap.space.layers import shrunk
from mindgap.space.network_builder import build_block, build_head, build_stem
from mindgap.space.search_space import SearchSpace
from mindgap.space.space_settings import OUT_CHANNELS, SpaceBlock

Part = tuple[nn.Module, torch.Tensor]


def measure_latency_table(space: SearchSpace, *, rounds: int = 10) -> BlockLatencyTable:
    """Times the stem, every block and the head of a space, one image at a time, channels-last float32 on the CPU.

    Each block is timed at the fewest and the most channels of every axis, for every map side it can meet; the passes of
    one grid take turns and the fastest round counts: load can only slow a pass down. The default space at 64 px takes
    some seconds. Store the table and reuse it: timings differ from run to run, decisions must not.
    """
    if space.fixed_network is not None:
        latency = measure_latency_ms(space.fixed_network.build(), space.input_px, rounds=rounds)
        return BlockLatencyTable(grids={}, networks={space.fixed_network.to_json(): latency})
    _, stem_channels, px = space.stem_state()
    out = [channel_corners(block.choices).get(OUT_CHANNELS, ()) for block in space.blocks]
    reachable = {stem_channels, *(width for widths in out for width in widths)}
    inputs = tuple(sorted({min(reachable), max(reachable)}))
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        grids = {STEM: _grid([(stem_channels,)], [_stem(space)], rounds)}
        for side in reachable_px(space, px):
            grids[head_key(side)] = _head_grid(space, inputs, side, rounds)
            for block in space.blocks:
                if block.stride > 1 and side <= space.settings.keep_map_px:
                    continue
                for fixed in fixed_combinations(block.choices):
                    grids[block_key(block.type, side, fixed)] = _block_grid(block, fixed, inputs, side, rounds)
    return BlockLatencyTable(grids=grids)


def reachable_px(space: SearchSpace, px: int) -> list[int]:
    """Map sides a block of the space can meet, largest first."""
    strides = {block.stride for block in space.blocks if block.stride > 1}
    sides = {px}
    frontier = {px}
    while frontier:
        halved = {shrunk(side, stride) for side in frontier if side > space.settings.keep_map_px for stride in strides}
        frontier = halved - sides
        sides |= halved
    return sorted(sides, reverse=True)


def _stem(space: SearchSpace) -> Part:
    return build_stem(space.stem()), _image(3, space.input_px)


def _head_grid(space: SearchSpace, inputs: tuple[int, ...], px: int, rounds: int) -> LatencyGrid:
    widths = tuple(sorted({min(space.settings.head_widths), max(space.settings.head_widths)}))
    parts = [
        (
            nn.Sequential(
                build_head(Head(width=width), channels),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(width, space.num_classes),
            ),
            _image(channels, px),
        )
        for channels, width in product(inputs, widths)
    ]
    return _grid([inputs, widths], parts, rounds)


def _block_grid(
    block: SpaceBlock, fixed: Mapping[str, Choice], inputs: tuple[int, ...], px: int, rounds: int
) -> LatencyGrid:
    corners = channel_corners(block.choices)
    parts = []
    for channels, *widths in product(inputs, *corners.values()):
        choices = dict(fixed) | dict(zip(corners, widths, strict=True))
        out_channels = int(choices.pop(OUT_CHANNELS, None) or channels)
        spec = BlockSpec(type=block.type, out_channels=out_channels, stride=block.stride, choices=choices)
        parts.append((build_block(spec, channels), _image(channels, px)))
    return _grid([inputs, *corners.values()], parts, rounds)


def _grid(axes: Sequence[tuple[int, ...]], parts: Sequence[Part], rounds: int) -> LatencyGrid:
    for module, _ in parts:
        module.eval()
    passes = [[one_pass(module, image) for module, image in parts] for _ in range(WARM_UP_ROUNDS + rounds)]
    fastest = [1e3 * min(times) for times in zip(*passes[WARM_UP_ROUNDS:], strict=True)]
    return LatencyGrid(axes=tuple(axes), ms=tuple(fastest))


def _image(channels: int, px: int) -> torch.Tensor:
    return torch.zeros(1, channels, px, px).contiguous(memory_format=torch.channels_last)
