"""What a channel importance is: one score per channel of a layer; low ones are removed first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from mindgap.core.config import StrictModel, parse
from mindgap.core.registry import Registry
from mindgap.space.network import Network

Layers = Mapping[str, nn.Module]
"""Layers by name; the output of each is (B, C, H, W), and its C channels are scored."""


@dataclass(frozen=True, eq=False)
class ScoringBatch:
    """Images by which channels are scored, on the network's device.

    Attributes:
        images: float32 (B, 3, S, S), normalised, not augmented.
        labels: int64 (B,), or float32 (B, L) of 0 and 1.
        groups: int64 (B,), group numbers of one attribute, -1 where unknown or where no attribute was asked for.
        rows: int64 (B,), which image each is; the same number in two batches is the same image.
    """

    images: Tensor
    labels: Tensor
    groups: Tensor
    rows: Tensor


class ScoringData(Protocol):
    """Images by which channels are scored; the same batches each time they are asked for."""

    @property
    def group_names(self) -> Mapping[str, tuple[str, ...]]:
        """The groups of each attribute, in the order of their numbers."""
        ...

    def balanced(self, attribute: str) -> Iterable[ScoringBatch]:
        """Batches that hold every group of the attribute alike."""
        ...

    def natural(self, attribute: str | None = None) -> Iterable[ScoringBatch]:
        """Batches as the images come, with their groups of the attribute."""
        ...


class NoOptions(StrictModel):
    """An importance without options."""


class AbstractImportance(ABC):
    """One way to score channels; a new one is one file with ``@IMPORTANCES.register("name")``.

    Attributes:
        options_model: the options it takes.
        by_attribute: whether the scores are of an attribute; otherwise they know no groups.
    """

    options_model: ClassVar[type[StrictModel]] = NoOptions
    by_attribute: ClassVar[bool] = False

    def __init__(self, options: Any) -> None:
        """Remembers the options, an ``options_model``."""
        self.options = options

    @abstractmethod
    def score(self, network: Network, layers: Layers, data: ScoringData, *, attribute: str | None) -> dict[str, Tensor]:
        """Scores every channel of some layers; the network is left as it was.

        Args:
            network: in evaluation mode.
            layers: of the network, by name.
            data: images to score by.
            attribute: whose groups count; None unless ``by_attribute``.

        Returns:
            Per layer float64 (C,) on the CPU. The lowest is removed first. NaN where a channel cannot be scored, such
            as one that is the same for all images.
        """


IMPORTANCES: Registry[type[AbstractImportance]] = Registry("importances", package="mindgap.prune.importances")


def make_importance(name: str, options: Mapping[str, Any] | None = None) -> AbstractImportance:
    """The importance of that name with its options.

    Raises:
        UnknownNameError: no importance has the name.
        ConfigError: an option is unknown or does not fit.
    """
    kind = IMPORTANCES.get(name)
    return kind(parse(kind.options_model, options or {}, source=f"importance {name}"))
