"""Skip, the position that holds nothing."""

from __future__ import annotations

from typing import Any

from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.space.block import BLOCKS, AbstractBlock
from mindgap.space.layers import Cost


@BLOCKS.register("skip")
class Skip(AbstractBlock):
    """Identity: leaves the position out, so that the depth is searched too."""

    searchable = True

    def choices(self) -> dict[str, tuple[Any, ...]]:
        """None: a skip emits no further token."""
        return {}

    def build(self, in_channels: int, out_channels: int, stride: int) -> nn.Module:
        """The identity.

        Raises:
            ConfigError: the shape would have to change.
        """
        if in_channels != out_channels or stride != 1:
            raise ConfigError(f"skip keeps {in_channels} channels at stride 1, got {out_channels} at stride {stride}")
        return nn.Identity()

    def cost(self, in_channels: int, out_channels: int, stride: int, px: int) -> Cost:  # noqa: ARG002
        """Nothing."""
        return Cost()
