"""Images of a store by which channels are scored, in balanced or natural batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import ConfigError, DataError, ShapeError, UnknownNameError, near_names
from mindgap.core.groups import Groups
from mindgap.core.seed import numpy_generator
from mindgap.data.augment import normalize
from mindgap.prune.importance import ScoringBatch

LEAST_PER_GROUP = 8
"""Images of every group in a balanced batch; with fewer, an image's neighbours within its group are few and far."""


@dataclass(frozen=True, eq=False)
class StoreScoringData:
    """Some rows of a store as batches, the same each time they are asked for; no batch holds an image twice.

    An image that came twice would be its own nearest neighbour, so a balanced batch holds of every group as many images
    as the smallest group has, if that is less than an even share of the batch. A group is used up before it is
    reshuffled, but for what is left of it over whole batches.

    Attributes:
        images: uint8 (N, S, S, 3), all images of the store, on any device.
        rows: int64 (n,), rows of ``images`` to score by.
        labels: int64 (n,) or float32 (n, L), of these rows.
        groups: of these rows, by attribute.
        mean: channel means the network expects, in 0..1.
        std: channel standard deviations the network expects, in 0..1.
        device: the network's.
        batch_size: images of a batch, at most.
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

    def balanced(self, attribute: str) -> Iterator[ScoringBatch]:
        """Batches that hold equally many images of every group, at least ``LEAST_PER_GROUP``.

        Raises:
            UnknownNameError: there is no such attribute.
            DataError: it has one group, or a group has too few images.
            ConfigError: a batch has no room for so many groups.
        """
        groups = self._groups(attribute)
        members = [np.flatnonzero(groups.ids == number) for number in range(len(groups.names))]
        each = self._images_per_group(groups)
        draws = [self._draws(rows, each, attribute, name) for rows, name in zip(members, groups.names, strict=True)]
        return self._batched(np.concatenate(draws, axis=1), groups)

    def natural(self, attribute: str | None = None) -> Iterator[ScoringBatch]:
        """Batches of images drawn alike, with their groups of the attribute.

        Raises:
            UnknownNameError: there is no such attribute.
        """
        groups = None if attribute is None else self._groups(attribute)
        every = np.arange(len(self.rows))
        return self._batched(self._draws(every, min(self.batch_size, len(every)), "natural"), groups)

    def _groups(self, attribute: str) -> Groups:
        if attribute not in self.groups:
            raise UnknownNameError(
                f"no attribute {attribute!r} to score channels by; {near_names(attribute, self.groups)}"
            )
        return self.groups[attribute]

    def _images_per_group(self, groups: Groups) -> int:
        counts, attribute = groups.counts(), groups.attribute
        if len(counts) < 2:
            only = f"one group, {groups.names[0]!r}" if groups.names else "no group"
            raise DataError(f"attribute {attribute!r} has {only}; channels are scored by what tells two groups apart")
        smallest = int(counts.argmin())
        if counts[smallest] < LEAST_PER_GROUP:
            raise DataError(
                f"group {groups.names[smallest]!r} of {attribute!r} has {counts[smallest]} images to score channels "
                f"by, fewer than {LEAST_PER_GROUP}; join it with another group, or leave the attribute out"
            )
        share = self.batch_size // len(counts)
        if share < LEAST_PER_GROUP:
            raise ConfigError(
                f"batches of {self.batch_size} hold fewer than {LEAST_PER_GROUP} images of each of the {len(counts)} "
                f"groups of {attribute!r}; raise the batch size to {LEAST_PER_GROUP * len(counts)}, or join groups"
            )
        return min(share, int(counts[smallest]))

    def _draws(self, members: NDArray[np.int64], each: int, *purpose: str) -> NDArray[np.int64]:
        """Int64 (batches, each): some members per batch, from a new order of them once it holds no whole batch more."""
        per_order = len(members) // each
        orders = [
            numpy_generator(self.seed, "scoring", *purpose, number).permutation(len(members))[: per_order * each]
            for number in range(-(-self.batches // per_order))
        ]
        return members[np.concatenate(orders).reshape(-1, each)[: self.batches]]

    def _batched(self, positions: NDArray[np.int64], groups: Groups | None) -> Iterator[ScoringBatch]:
        """The batches of int64 (batches, b) positions among the rows."""
        ids = torch.full((len(self.rows),), -1) if groups is None else torch.from_numpy(groups.ids)
        for chosen in torch.from_numpy(positions).unbind():
            rows = self.rows[chosen.to(self.rows.device)].to(self.images.device)
            images = self.images.index_select(0, rows).to(self.device)
            yield ScoringBatch(
                images=normalize(images, mean=self.mean, std=self.std),
                labels=self.labels[chosen.to(self.labels.device)].to(self.device),
                groups=ids[chosen].to(self.device),
            )
