"""Blocks that are a chain of convolutions: described once, so that what is built and what it costs cannot differ."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal

from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.space.block import CHANNELS, KERNELS, AbstractBlock, middle_channels
from mindgap.space.layers import Cost, Residual, conv_cost, conv_unit, shrunk

Shortcut = Literal["none", "identity", "projection"]
_CHOSEN: dict[Shortcut, tuple[Shortcut, ...]] = {
    "none": ("none",),
    "identity": ("none", "identity"),
    "projection": ("identity", "projection"),
}


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
    """The choices of a chain.

    Attributes:
        kernel: K.
        hidden_channels: CH2; None is ``expand`` times CH1 or the block's rule.
        expand: CH2 as a multiple of CH1.
        activation: of the units; None is the block's.
        shortcut: ``none``, ``identity`` or ``projection`` whatever the shape; None is the block's rule. A network whose
            channels were removed needs it, where numbers of channels became alike or ceased to be.
    """

    kernel: int = 3
    hidden_channels: int | None = None
    expand: int | None = None
    activation: str | None = None
    shortcut: Shortcut | None = None

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
        choice_model: the choices it takes.
        activation: of the units, unless the choice ``activation`` says otherwise.
        shortcut: the block's rule. ``none``; ``identity`` adds the input where the shape stays; ``projection`` adds it
            everywhere, by 1×1 where the shape changes, activates the sum, and starts as the shortcut alone.
    """

    choice_model: ClassVar[type[ConvChoice]] = ConvChoice
    activation: ClassVar[str] = "relu"
    shortcut: ClassVar[Shortcut] = "none"

    @abstractmethod
    def units(self, in_channels: int, out_channels: int, stride: int, choice: Any) -> Mapping[str, Unit]:
        """The convolutions in their order, by the names under which a checkpoint keeps them.

        Args:
            in_channels: C1.
            out_channels: C3.
            stride: of the block.
            choice: a ``choice_model`` with an activation.
        """

    def choices(self) -> dict[str, tuple[Any, ...]]:
        """K, CH2, CH3."""
        return {"kernel": KERNELS, "hidden_channels": CHANNELS, "out_channels": CHANNELS}

    def check(self, **choice: Any) -> None:
        """Checks that ``build`` takes these choices.

        Raises:
            ConfigError: a choice is unknown.
        """
        known = [field.name for field in fields(self.choice_model)]
        unknown = sorted(set(choice) - set(known))
        if unknown:
            raise ConfigError(f"{type(self).__name__}: no choice {unknown[0]!r}; its choices are {', '.join(known)}")

    def build(self, in_channels: int, out_channels: int, stride: int, **choice: Any) -> nn.Module:
        """The chain, with its shortcut; the choices are those of ``choice_model``.

        Raises:
            ConfigError: they do not fit each other or the shape.
        """
        chosen = self._chosen(choice)
        units = self.units(in_channels, out_channels, stride, chosen)
        body = nn.Sequential(OrderedDict((name, conv_unit(**vars(unit))) for name, unit in units.items()))
        kind = self._shortcut(in_channels, out_channels, stride, chosen.shortcut)
        if kind == "none":
            return body
        by_itself = self.shortcut == "projection"
        added = nn.Identity() if kind == "identity" else conv_unit(in_channels, out_channels, kernel=1, stride=stride)
        return Residual(body, added, act=chosen.activation if by_itself else None, zero_start=by_itself)

    def cost(self, in_channels: int, out_channels: int, stride: int, px: int, **choice: Any) -> Cost:
        """Cost in closed form."""
        chosen, total, out_px = self._chosen(choice), Cost(), px
        for unit in self.units(in_channels, out_channels, stride, chosen).values():
            out_px = shrunk(out_px, unit.stride)
            total += conv_cost(unit.in_channels, unit.out_channels, kernel=unit.kernel, px=out_px, groups=unit.groups)
        if self._shortcut(in_channels, out_channels, stride, chosen.shortcut) == "projection":
            total += conv_cost(in_channels, out_channels, kernel=1, px=out_px)
        return total

    def choices_of(
        self, module: nn.Module, in_channels: int, out_channels: int, stride: int, **choice: Any
    ) -> dict[str, Any]:
        """The choices with the module's widths and shortcut, said where they would come out otherwise."""
        body, kind = module, "none"
        if isinstance(module, Residual):
            body, kind = module.body, "identity" if isinstance(module.shortcut, nn.Identity) else "projection"
        said = {name: value for name, value in choice.items() if name != "shortcut"}
        if self._shortcut(in_channels, out_channels, stride, None) != kind:
            said["shortcut"] = kind
        widths = [part.out_channels for part in body.modules() if isinstance(part, nn.Conv2d)]
        if widths != self._widths(in_channels, out_channels, stride, said):
            said |= {"expand": None} | self.said_widths(widths)
        return {name: value for name, value in said.items() if value is not None}

    def said_widths(self, widths: Sequence[int]) -> dict[str, Any]:
        """The choices that give the units these numbers of output channels."""
        return {"hidden_channels": widths[0]}

    def _widths(self, in_channels: int, out_channels: int, stride: int, choice: Mapping[str, Any]) -> list[int] | None:
        """Output channels of the units; None where the block's rule has none for this shape."""
        try:
            units = self.units(in_channels, out_channels, stride, self._chosen(choice))
        except ConfigError:
            return None
        return [unit.out_channels for unit in units.values()]

    def _chosen(self, choice: Mapping[str, Any]) -> Any:
        self.check(**choice)
        chosen = self.choice_model(**choice)
        return chosen if chosen.activation is not None else replace(chosen, activation=self.activation)

    def _shortcut(self, in_channels: int, out_channels: int, stride: int, chosen: Shortcut | None) -> Shortcut:
        stays = stride == 1 and in_channels == out_channels
        if chosen is None:
            changed: Shortcut = "none" if self.shortcut == "identity" else self.shortcut
            return "identity" if stays and self.shortcut != "none" else changed
        known = _CHOSEN[self.shortcut]
        if chosen not in known or (chosen == "identity" and not stays):
            raise ConfigError(
                f"shortcut is {chosen!r} for {in_channels} to {out_channels} channels at stride {stride}; "
                f"this block takes {' or '.join(known)}, identity only where the shape stays"
            )
        return chosen
