"""Rows of a store and their groups, and batches of them on a network's device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import ConfigError, DataError, ShapeError, UnknownNameError, near_names
from mindgap.core.groups import Groups
from mindgap.data.augment import normalize
from mindgap.prune.importance import ScoringBatch


@dataclass(frozen=True, eq=False)
class StoreBatches:
    """Some rows of a store, to be taken as batches.

    Attributes:
        images: uint8 (N, S, S, 3), all images of the store, on any device.
        rows: int64 (n,), the rows of ``images`` that batches are made of.
        labels: int64 (n,) or float32 (n, L), of these rows.
        groups: of these rows, by attribute.
        mean: channel means the network expects, in 0..1.
        std: channel standard deviations the network expects, in 0..1.
        device: the network's.
        batch_size: images of a batch, at most, unless an attribute has so many groups that they need more.
        batches: number of batches.
        seed: what the draws depend on.
    """

    images: Tensor
    rows: Tensor
    labels: Tensor
    groups: Mapping[str, Groups]
    mean: Sequence[float]
    std: Sequence[float]
    device: torch.device
    batch_size: int = 128
    batches: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for what, number in {"batch size": self.batch_size, "number of batches": self.batches}.items():
            if number < 1:
                raise ConfigError(f"{what} to score channels is {number}; use 1 or more")
        if not len(self.rows):
            raise DataError("no images to score channels by; take a split that has some")
        lengths = {"labels": len(self.labels)} | {f"groups of {name}": len(g.ids) for name, g in self.groups.items()}
        for what, length in lengths.items():
            if length != len(self.rows):
                raise ShapeError(f"{what} are of {length} images, and {len(self.rows)} are to be scored by")

    @property
    def group_names(self) -> dict[str, tuple[str, ...]]:
        """The groups of each attribute, in the order of their numbers."""
        return {name: groups.names for name, groups in self.groups.items()}

    def groups_of(self, attribute: str) -> Groups:
        """The groups of an attribute.

        Raises:
            UnknownNameError: there is no such attribute.
        """
        if attribute not in self.groups:
            raise UnknownNameError(
                f"no attribute {attribute!r} to score channels by; {near_names(attribute, self.groups)}"
            )
        return self.groups[attribute]

    def batched(self, positions: NDArray[np.int64], groups: Groups | None) -> Iterator[ScoringBatch]:
        """The batches of int64 (batches, b) positions among the rows, with the groups if some are given."""
        ids = torch.full((len(self.rows),), -1) if groups is None else torch.from_numpy(groups.ids)
        for chosen in torch.from_numpy(positions).unbind():
            rows = self.rows[chosen.to(self.rows.device)].to(self.images.device)
            images = self.images.index_select(0, rows).to(self.device)
            yield ScoringBatch(
                images=normalize(images, mean=self.mean, std=self.std),
                labels=self.labels[chosen.to(self.labels.device)].to(self.device),
                groups=ids[chosen].to(self.device),
                rows=rows.to(self.device),
            )
