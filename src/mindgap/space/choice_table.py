"""All choices of one block at one place of the network, with what each costs, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mindgap.space.architecture import BlockSpec, Head
from mindgap.space.cost import block_cost, head_cost
from mindgap.space.layers import Cost, shrunk
from mindgap.space.space_settings import OUT_CHANNELS, SpaceBlock


@dataclass(frozen=True)
class ChoiceTable:
    """Costs of a block's choices, each with the cheapest completion behind it (the rest skip, the narrowest head).

    Attributes:
        params: int64, one axis per choice of the block: parameters of block and completion.
        macs: int64, the same shape: multiply-adds of block and completion.
    """

    params: NDArray[np.int64]
    macs: NDArray[np.int64]

    def feasible(self, used: Cost, limit: Cost) -> NDArray[np.bool_]:
        """Which choices stay within both limits when ``used`` is spent already; one axis per choice."""
        return (self.params <= limit.params - used.params) & (self.macs <= limit.macs - used.macs)


def choice_table(block: SpaceBlock, in_channels: int, px: int, *, head_width: int, num_classes: int) -> ChoiceTable:
    """Counts every combination of the block's options on an input of ``in_channels`` maps of px × px."""
    costs = [
        _cost_with_completion(block, values, in_channels, px, head_width=head_width, num_classes=num_classes)
        for values in product(*block.choices.values())
    ]
    shape = tuple(len(options) for options in block.choices.values())
    params = np.array([cost.params for cost in costs], dtype=np.int64).reshape(shape)
    macs = np.array([cost.macs for cost in costs], dtype=np.int64).reshape(shape)
    return ChoiceTable(params, macs)


def block_spec(block: SpaceBlock, values: tuple[object, ...], in_channels: int) -> BlockSpec:
    """The block with these options, in the order of its choices."""
    choices = dict(zip(block.choices, values, strict=True))
    out_channels = choices.pop(OUT_CHANNELS, in_channels)
    return BlockSpec.model_validate(
        {"type": block.type, "out_channels": out_channels, "stride": block.stride, "choices": choices}
    )


def _cost_with_completion(
    block: SpaceBlock, values: tuple[object, ...], in_channels: int, px: int, *, head_width: int, num_classes: int
) -> Cost:
    spec = block_spec(block, values, in_channels)
    completion = head_cost(Head(width=head_width), spec.out_channels, shrunk(px, spec.stride), num_classes=num_classes)
    return block_cost(spec, in_channels, px) + completion
