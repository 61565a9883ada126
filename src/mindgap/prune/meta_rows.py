"""Training images held out to learn attribute weights by, and their batches (Wei & Chakraborti, the meta set)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import ConfigError, DataError
from mindgap.core.groups import Groups
from mindgap.core.seed import derive_seed
from mindgap.data.batches import BatchPlan
from mindgap.data.split import cluster_disjoint_split
from mindgap.prune.importance import ScoringBatch
from mindgap.prune.meta_step import LEAST_IMAGES
from mindgap.prune.store_batches import StoreBatches

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
class MetaBatches(StoreBatches):
    """Meta rows as batches that hold every group of an attribute alike, the same each time they are asked for.

    A group with two images or more is in every batch, its images repeated where they are few, which leaves their mean
    loss what it is; a group with fewer, and images of unknown group, are in none.
    """

    def balanced(self, attribute: str) -> Iterator[ScoringBatch]:
        """Batches of images of every group with two or more.

        Raises:
            UnknownNameError: there is no such attribute.
            DataError: fewer than two groups have two images.
        """
        groups = self.groups_of(attribute)
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
            batch_size=max(self.batch_size, LEAST_IMAGES * int(kept.sum())),
            seed=derive_seed(self.seed, "meta batches", attribute),
            min_per_group=LEAST_IMAGES,
        )
        epochs = range(-(-self.batches // plan.steps_per_epoch))
        positions = members[np.concatenate([plan.epoch(epoch) for epoch in epochs])[: self.batches]]
        return self.batched(positions, groups)
