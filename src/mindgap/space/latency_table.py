"""Milliseconds of blocks, measured once per study, so that a limit on latency does not depend on the machine's load."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
from pydantic import Field

from mindgap.core.config import StrictModel
from mindgap.core.errors import ConfigError
from mindgap.space.architecture import Architecture, BlockSpec, Choice
from mindgap.space.layers import shrunk

CHANNEL_SUFFIX = "channels"
HEAD = "head"
STEM = "stem"


class LatencyGrid(StrictModel):
    """Latency over numbers of channels.

    Attributes:
        axes: the measured numbers of channels along each axis (C1 first), ascending.
        ms: milliseconds, row-major over the axes.
    """

    axes: tuple[tuple[int, ...], ...]
    ms: tuple[float, ...]

    def at(self, point: tuple[int, ...]) -> float:
        """Milliseconds at these numbers of channels, linear along each axis between measured ones.

        The work of a convolution is linear in its input and in its output channels, so two points per axis suffice.

        Raises:
            ConfigError: the point lies outside what was measured.
        """
        values = np.array(self.ms).reshape([len(axis) for axis in self.axes])
        for axis, where in zip(self.axes, point, strict=True):
            if not axis[0] <= where <= axis[-1]:
                raise ConfigError(
                    f"latency was measured for {axis[0]} to {axis[-1]} channels, not {where}; measure again"
                )
            right = min(int(np.searchsorted(axis, where)), len(axis) - 1)
            left = max(right - 1, 0)
            weight = (where - axis[left]) / (axis[right] - axis[left]) if right > left else 0.0
            values = (1 - weight) * values[left] + weight * values[right]
        return float(values)


class BlockLatencyTable(StrictModel):
    """Batch-1 latencies of a space's parts on one machine; plain data, kept in the study's ledger.

    Attributes:
        version: version of this form.
        grids: a grid per stem, head or block, map side and choices that are not numbers of channels.
        networks: milliseconds of whole networks by their JSON, for a fixed network.
    """

    version: int = 1
    grids: dict[str, LatencyGrid]
    networks: dict[str, float] = Field(default_factory=dict)

    def latency_ms(self, architecture: Architecture) -> float:
        """Sum of the parts' latencies, milliseconds per image.

        Raises:
            ConfigError: a part was not measured.
        """
        whole = self.networks.get(architecture.to_json())
        if whole is not None:
            return whole
        channels = architecture.stem.channels
        px = shrunk(architecture.input_px, architecture.stem.stride)
        total = self._grid(STEM).at((channels,))
        for spec in architecture.blocks:
            grid = self._grid(block_key(spec.type, px, spec.choices))
            # A block that keeps its channels has no axis for C3, the last one.
            total += grid.at((channels, *_widths(spec))[: len(grid.axes)])
            channels, px = spec.out_channels, shrunk(px, spec.stride)
        return total + self._grid(head_key(px)).at((channels, architecture.head.width or channels))

    def _grid(self, key: str) -> LatencyGrid:
        if key not in self.grids:
            raise ConfigError(f"the latency table holds no {key!r}; measure the table for this space")
        return self.grids[key]


def block_key(block: str, px: int, choices: Mapping[str, Choice]) -> str:
    """Name of a block's grid: its type, the map's side and the choices that are not numbers of channels."""
    fixed = [f"{name}={choices[name]}" for name in sorted(choices) if not name.endswith(CHANNEL_SUFFIX)]
    return " ".join([block, f"px={px}", *fixed])


def head_key(px: int) -> str:
    """Name of the head's grid on maps of px × px."""
    return f"{HEAD} px={px}"


def channel_corners(options: Mapping[str, tuple[Choice, ...]]) -> dict[str, tuple[int, ...]]:
    """Fewest and most channels of each choice that is a number of channels: by name, C3 last."""
    corners = {}
    for name in sorted(options, key=lambda name: (name == "out_channels", name)):
        numbers = [int(value) for value in options[name] if value is not None and name.endswith(CHANNEL_SUFFIX)]
        if numbers:
            corners[name] = tuple(sorted({min(numbers), max(numbers)}))
    return corners


def fixed_combinations(options: Mapping[str, tuple[Choice, ...]]) -> list[dict[str, Choice]]:
    """Every combination of the choices that are not numbers of channels."""
    names = [name for name in options if not name.endswith(CHANNEL_SUFFIX)]
    return [dict(zip(names, values, strict=True)) for values in product(*(options[name] for name in names))]


def _widths(spec: BlockSpec) -> list[int]:
    inner = {name: width for name, width in spec.choices.items() if name.endswith(CHANNEL_SUFFIX)}
    return [*(int(width) for _, width in sorted(inner.items()) if width is not None), spec.out_channels]
