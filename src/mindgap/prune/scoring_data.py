"""Images of a store by which channels are scored, in balanced or natural batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import DataError, ShapeError
from mindgap.core.groups import Groups
from mindgap.core.seed import numpy_generator
from mindgap.prune.importance import ScoringBatch
from mindgap.prune.store_batches import StoreBatches

LEAST_PER_GROUP = 8
"""Images of every group in a balanced batch; with fewer, an image's neighbours within its group are few and far."""


@dataclass(frozen=True, eq=False)
class StoreScoringData(StoreBatches):
    """Some rows of a store as batches, the same each time they are asked for; no batch holds an image twice.

    An image that came twice would be its own nearest neighbour, so a balanced batch holds of every group as many images
    as the smallest group has, if that is less than an even share of the batch. A group is used up before it is
    reshuffled, but for what is left of it over whole batches.

    Images of one cluster are near neighbours of one group in every channel that recognises the cluster. So where all
    groups have ``LEAST_PER_GROUP`` clusters or more, a balanced batch holds at most one image of a cluster in a group,
    and of every group at most as many as the smallest has clusters; a group's clusters, each by one of its images
    drawn anew, are used up before they are reshuffled. Otherwise images are drawn, whatever their cluster.

    Attributes:
        clusters: int64 (n,), of these rows, such as patients; None is every image for itself.
    """

    clusters: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clusters is not None and len(self.clusters) != len(self.rows):
            raise ShapeError(f"clusters are of {len(self.clusters)} images, and {len(self.rows)} are to be scored by")

    def balanced(self, attribute: str) -> Iterator[ScoringBatch]:
        """Batches that hold equally many images of every group, at least ``LEAST_PER_GROUP``.

        Raises:
            UnknownNameError: there is no such attribute.
            DataError: it has one group, or a group has too few images.
        """
        groups = self.groups_of(attribute)
        _check_sizes(groups)
        members = [np.flatnonzero(groups.ids == number) for number in range(len(groups.names))]
        apart = self._apart(members)
        share = max(LEAST_PER_GROUP, self.batch_size // len(members))
        each = min(share, *(len(np.unique(of)) for of in apart))
        draws = [
            rows[self._draws(of, each, attribute, name)]
            for rows, of, name in zip(members, apart, groups.names, strict=True)
        ]
        return self.batched(np.concatenate(draws, axis=1), groups)

    def natural(self, attribute: str | None = None) -> Iterator[ScoringBatch]:
        """Batches of images drawn alike, with their groups of the attribute.

        Raises:
            UnknownNameError: there is no such attribute.
        """
        groups = None if attribute is None else self.groups_of(attribute)
        every = np.arange(len(self.rows))
        return self.batched(self._draws(every, min(self.batch_size, len(every)), "natural"), groups)

    def _apart(self, members: Sequence[NDArray[np.int64]]) -> Sequence[NDArray[np.int64]]:
        """Of each group's members what comes once in a batch: clusters, or themselves where a group has too few."""
        if self.clusters is None:
            return members
        clusters = [self.clusters[rows] for rows in members]
        return clusters if min(len(np.unique(of)) for of in clusters) >= LEAST_PER_GROUP else members

    def _draws(self, apart: NDArray[np.int64], each: int, *purpose: str) -> NDArray[np.int64]:
        """Int64 (batches, each) places in ``apart``, whose values are used up before a new order of them is begun."""
        per_order = len(np.unique(apart)) // each
        orders = [
            _one_of_each(apart, numpy_generator(self.seed, "scoring", *purpose, number))[: per_order * each]
            for number in range(-(-self.batches // per_order))
        ]
        return np.concatenate(orders).reshape(-1, each)[: self.batches]


def _one_of_each(values: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """A random place of each value, in random order."""
    order = generator.permutation(len(values))
    return order[np.sort(np.unique(values[order], return_index=True)[1])]


def _check_sizes(groups: Groups) -> None:
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
