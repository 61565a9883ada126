"""What a block is: its searched choices, how to build it, and what it costs."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mindgap.core.errors import ConfigError
from mindgap.core.registry import Registry
from mindgap.space.layers import Cost

KERNELS = (3, 5, 7)
CHANNELS = (16, 24, 32, 48, 64, 96)


class AbstractBlock(ABC):
    """One kind of block of a network; a new one is one file with ``@BLOCKS.register("name")``.

    A block built for ``in_channels`` C1, ``out_channels`` C3 and a stride maps (B, C1, H, W) to
    (B, C3, ceil(H/stride), ceil(W/stride)).

    Attributes:
        searchable: whether a search space takes the block without naming it.
        search_stride: stride the block has inside a search; 1 or 2.
    """

    searchable: ClassVar[bool] = False
    search_stride: ClassVar[int] = 1

    @abstractmethod
    def choices(self) -> Mapping[str, tuple[Any, ...]]:
        """The searched choices in the order they are decided, each with its options.

        A choice named ``out_channels`` sets C3; without it, C3 = C1. Every other choice is handed to ``build``.
        """

    @abstractmethod
    def build(self, in_channels: int, out_channels: int, stride: int, *_: Any, **choice: Any) -> nn.Module:
        """The block as a module; an implementation names its choices as keyword parameters.

        A module with a method ``after_initialisation()`` has it called once its weights are drawn.
        """

    def cost(self, in_channels: int, out_channels: int, stride: int, px: int, *_: Any, **choice: Any) -> Cost:
        """Cost of the block on an input map of px × px, for one image.

        This counts a build on torch's meta device, which takes milliseconds; a block that knows its cost in closed form
        overrides it, and the conformance kit checks that both agree.
        """
        return counted_cost(self, in_channels, out_channels, stride, px, choice)

    def choices_of(
        self,
        module: nn.Module,  # noqa: ARG002
        in_channels: int,  # noqa: ARG002
        out_channels: int,  # noqa: ARG002
        stride: int,  # noqa: ARG002
        *_: Any,
        **choice: Any,
    ) -> dict[str, Any]:
        """The choices by which ``build`` gives a module of this one's form, after channels of it were removed.

        A block whose choices say numbers of channels overrides it; here the choices stay.

        Args:
            module: what ``build`` gave for ``choice``, with some channels removed.
            in_channels: C1 that is left.
            out_channels: C3 that is left.
            stride: of the block.
            choice: by which it was built.
        """
        return choice

    def check(self, **choice: Any) -> None:
        """Checks that ``build`` takes these choices.

        Raises:
            ConfigError: a choice is unknown or missing.
        """
        try:
            inspect.signature(self.build).bind(1, 1, 1, **choice)
        except TypeError as error:
            known = list(inspect.signature(self.build).parameters)[3:]
            raise ConfigError(f"{type(self).__name__}: {error}; its choices are {', '.join(known) or 'none'}") from None


BLOCKS: Registry[type[AbstractBlock]] = Registry("blocks", package="mindgap.space.blocks")


def counted_cost(
    block: AbstractBlock, in_channels: int, out_channels: int, stride: int, px: int, choice: Mapping[str, Any]
) -> Cost:
    """Cost of any block, counted operator by operator on the meta device (no memory, no arithmetic)."""
    with torch.device("meta"):
        module = block.build(in_channels, out_channels, stride, **choice).eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(torch.empty(1, in_channels, px, px))
    params = sum(parameter.numel() for parameter in module.parameters())
    return Cost(params, counter.get_total_flops() // 2)


def middle_channels(in_channels: int, *, hidden_channels: int | None, expand: int | None, otherwise: int) -> int:
    """CH2 of a block: given itself, or as a multiple of CH1, or the block's own rule.

    Raises:
        ConfigError: both ways are given, or the number is not positive.
    """
    if hidden_channels is not None and expand is not None:
        raise ConfigError(f"hidden_channels={hidden_channels} and expand={expand} are both given; give one")
    middle = hidden_channels if hidden_channels is not None else in_channels * expand if expand else otherwise
    if middle < 1:
        raise ConfigError(f"a block of {middle} channels cannot be built; use 1 or more")
    return middle
