"""Blocks that are a chain of convolutions: described once, so that what is built and what it costs cannot differ."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import nn

from mindgap.space.block import CHANNELS, KERNELS, AbstractBlock, middle_channels
from mindgap.space.layers import Cost, Residual, conv_cost, conv_unit, projection, projection_cost, shrunk


@dataclass(frozen=True)
class Unit:
    """One ``conv_unit`` of a block: its shape, and its activation if it has one."""

    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    act: str | None = None


@dataclass(frozen=True)
class ConvChoice:
    """The choices of a chain: K, CH2 (as such, as a multiple of CH1, or by the block's rule) and the activation."""

    kernel: int = 3
    hidden_channels: int | None = None
    expand: int | None = None
    activation: str = "relu"

    @property
    def sets_middle(self) -> bool:
        """Whether CH2 was chosen, not left to the block's rule."""
        return self.hidden_channels is not None or bool(self.expand)

    def middle(self, in_channels: int, *, otherwise: int) -> int:
        """CH2; see ``middle_channels``."""
        return middle_channels(
            in_channels, hidden_channels=self.hidden_channels, expand=self.expand, otherwise=otherwise
        )


class AbstractConvBlock(AbstractBlock):
    """A chain of convolutions, with or without a shortcut around it; a block says which by ``units``.

    Attributes:
        activation: of the units, unless the choice ``activation`` says otherwise.
        shortcut: ``none``; ``identity`` adds the input where the shape stays; ``projection`` adds it everywhere, by
            1×1 where the shape changes, activates the sum, and starts as the shortcut alone.
    """

    activation: ClassVar[str] = "relu"
    shortcut: ClassVar[Literal["none", "identity", "projection"]] = "none"

    @abstractmethod
    def units(self, in_channels: int, out_channels: int, stride: int, choice: ConvChoice) -> Mapping[str, Unit]:
        """The convolutions in their order, by the names under which a checkpoint keeps them."""

    def choices(self) -> dict[str, tuple[Any, ...]]:
        """K, CH2, CH3."""
        return {"kernel": KERNELS, "hidden_channels": CHANNELS, "out_channels": CHANNELS}

    def build(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        *,
        kernel: int = 3,
        hidden_channels: int | None = None,
        expand: int | None = None,
        activation: str | None = None,
    ) -> nn.Module:
        """The chain, with its shortcut."""
        choice = ConvChoice(kernel, hidden_channels, expand, self.activation if activation is None else activation)
        units = self.units(in_channels, out_channels, stride, choice)
        body = nn.Sequential(OrderedDict((name, conv_unit(**vars(unit))) for name, unit in units.items()))
        if self.shortcut == "projection":
            added = projection(in_channels, out_channels, stride=stride)
            return Residual(body, added, act=choice.activation, zero_start=True)
        if self.shortcut == "identity" and stride == 1 and in_channels == out_channels:
            return Residual(body, nn.Identity(), act=None, zero_start=False)
        return body

    def cost(self, in_channels: int, out_channels: int, stride: int, px: int, **choice: Any) -> Cost:
        """Cost in closed form."""
        total, out_px = Cost(), px
        for unit in self.units(in_channels, out_channels, stride, ConvChoice(**choice)).values():
            out_px = shrunk(out_px, unit.stride)
            total += conv_cost(unit.in_channels, unit.out_channels, kernel=unit.kernel, px=out_px, groups=unit.groups)
        if self.shortcut == "projection":
            total += projection_cost(in_channels, out_channels, stride=stride, px=out_px)
        return total
