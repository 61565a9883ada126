"""Training images held out to learn attribute weights by, and their batches (Wei & Chakraborti, the meta set)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import ConfigError, DataError, UnknownNameError, near_names
from mindgap.core.groups import Groups
from mindgap.core.seed import derive_seed
from mindgap.data.augment import normalize
from mindgap.data.batches import BatchPlan
from mindgap.data.split import cluster_disjoint_split
from mindgap.prune.importance import ScoringBatch
from mindgap.prune.meta_step import LEAST_IMAGES

META_SHARE = 0.1


def split_meta_rows(
    rows: NDArray[np.int64],
    labels: NDArray[np.int64] | NDArray[np.uint8],
    groups: Sequence[Groups],
    *,
    clusters: NDArray[np.int64],
    share: float = META_SHARE,
    seed: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Holds a share of the training rows out, whole clusters, stratified by label, group and both.

    Args:
        rows: int64 (n,), the training rows, rising.
        labels: int64 (N,) or uint8 (N, L), of all rows of the store.
        groups: of all rows, of each attribute.
        clusters: int64 (N,), of all rows.
        share: of the training rows to hold out, above 0 and below 1.
        seed: of the order in which clusters are placed.

    Returns:
        The rows left to train and score by, and the meta rows; both rising. Every class and group stays in the first,
        and is in the second if it has three clusters or more.

    Raises:
        ConfigError: the share is not above 0 and below 1.
        DataError: nothing would be held out.
    """
    if not 0 < share < 1:
        raise ConfigError(f"share of meta rows is {share:g}: give more than 0 and less than 1, such as .1 for 10 %")
    parts = cluster_disjoint_split(
        labels[rows],
        [attribute.take(rows) for attribute in groups],
        clusters=clusters[rows],
        shares=(1.0 - share, share, 0.0),
        seed=derive_seed(seed, "meta rows"),
    )
    kept, meta = rows[parts == "train"], rows[parts != "train"]
    if not len(meta):
        raise DataError(f"holding out {share:g} of {len(rows)} training rows leaves no meta row; give a larger share")
    return kept, meta


@dataclass(frozen=True, eq=False)
class MetaBatches:
    """Meta rows as batches that hold every group of an attribute alike, the same each time they are asked for.

    A group with two images or more is in every batch, its images repeated where they are few, which leaves their mean
    loss what it is; a group with fewer, and images of unknown group, are in none.

    Attributes:
        images: uint8 (N, S, S, 3), all images of the store.
        rows: int64 (n,), the meta rows.
        labels: int64 (n,) or float32 (n, L), of these rows.
        groups: of these rows, by attribute.
        mean: channel means the network expects, in 0..1.
        std: channel standard deviations the network expects, in 0..1.
        device: the network's.
        batch_size: images of a batch.
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

    @property
    def group_names(self) -> dict[str, tuple[str, ...]]:
        """The groups of each attribute, in the order of their numbers."""
        return {name: groups.names for name, groups in self.groups.items()}

    def balanced(self, attribute: str) -> Iterator[ScoringBatch]:
        """Batches of images of every group with two or more.

        Raises:
            UnknownNameError: there is no such attribute.
            DataError: fewer than two groups have two images.
            ConfigError: a batch has no room for two images of each group.
        """
        groups = self._groups(attribute)
        counts = groups.counts()
        kept = counts >= LEAST_IMAGES
        if kept.sum() < LEAST_IMAGES:
            raise DataError(
                f"attribute {attribute!r}: the meta rows have {counts.tolist()} images of its groups, and two groups "
                f"need {LEAST_IMAGES} or more each; hold out more images, join groups, or leave the attribute out"
            )
        members = np.flatnonzero(groups.known & kept[groups.ids])
        plan = BatchPlan(
            groups.ids[members],
            kept / kept.sum(),
            batch_size=self.batch_size,
            seed=derive_seed(self.seed, "meta batches", attribute),
            min_per_group=LEAST_IMAGES,
        )
        epochs = range(-(-self.batches // plan.steps_per_epoch))
        positions = members[np.concatenate([plan.epoch(epoch) for epoch in epochs])[: self.batches]]
        return self._batched(positions, torch.from_numpy(groups.ids))

    def _groups(self, attribute: str) -> Groups:
        if attribute not in self.groups:
            raise UnknownNameError(
                f"no attribute {attribute!r} among the meta rows; {near_names(attribute, self.groups)}"
            )
        return self.groups[attribute]

    def _batched(self, positions: NDArray[np.int64], ids: Tensor) -> Iterator[ScoringBatch]:
        """The batches of int64 (batches, B) positions among the rows."""
        for chosen in torch.from_numpy(positions).unbind():
            rows = self.rows[chosen.to(self.rows.device)].to(self.images.device)
            images = self.images.index_select(0, rows).to(self.device)
            yield ScoringBatch(
                images=normalize(images, mean=self.mean, std=self.std),
                labels=self.labels[chosen.to(self.labels.device)].to(self.device),
                groups=ids[chosen].to(self.device),
            )
