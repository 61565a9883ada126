"""Where a network looks on many images of a store: maps are made batch by batch, and only figures are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import DataError
from mindgap.data.image_store import Store
from mindgap.data.table import column_of
from mindgap.explain.explained_network import ExplainedNetwork
from mindgap.explain.focus import Focus, channel_focus, focus

Targets = Literal["predicted", "label"] | Sequence[int]
"""Which class each image is explained for: its predicted one, its label, or each of these for all images."""


@dataclass(frozen=True, eq=False)
class ChannelSums:
    """What channels of a layer did over all images.

    Attributes:
        focus: float64 (C,), sum of the focus over the images where it is defined.
        counts: int64 (C,), how many those are.
        activity: float64 (C,), sum over all images of the mean of max(a, 0).
        images: how many images.
    """

    focus: NDArray[np.float64]
    counts: NDArray[np.int64]
    activity: NDArray[np.float64]
    images: int

    @property
    def mean_focus(self) -> NDArray[np.float64]:
        """Float64 (C,); NaN where it is defined on no image."""
        return np.divide(self.focus, self.counts, out=np.full(len(self.focus), np.nan), where=self.counts > 0)


@dataclass(frozen=True, eq=False)
class ExplainedRows:
    """Figures of n images, for Q classes each: one, or every class that was asked for.

    Attributes:
        probabilities: float64 (n, C), in the store's order of the classes.
        targets: int64 (Q, n), the class that each map is of.
        focus: of the Q classes' maps, (n,) each.
        is_blank: bool (Q, n), whether nothing in the map speaks for the class.
        map_px: height and width of a map.
        channels: of the explained layer; None if they were not asked for.
    """

    probabilities: NDArray[np.float64]
    targets: NDArray[np.int64]
    focus: tuple[Focus, ...]
    is_blank: NDArray[np.bool_]
    map_px: tuple[int, int]
    channels: ChannelSums | None = None


def explain_rows(
    explained: ExplainedNetwork,
    store: Store,
    rows: NDArray[np.int64],
    *,
    targets: Targets,
    batch_size: int = 64,
    channels: bool = False,
    on_batch: Callable[[int], None] = lambda _: None,
) -> ExplainedRows:
    """Explains some rows of a store.

    Args:
        explained: the network, its explainer and its device.
        store: of the images, labels and masks.
        rows: int64 (n,), n ≥ 1.
        targets: which classes are explained.
        batch_size: images at a time; memory grows with it, the figures do not depend on it beyond rounding.
        channels: whether single channels are looked at, which takes a pass more.
        on_batch: told the number of images of every batch that is done.

    Raises:
        DataError: the network predicts NaN.
        ConfigError: the network has not what the explainer needs.
    """
    parts, sums = _Parts(), None
    for chunk in torch.from_numpy(rows).split(batch_size):
        images, masks = explained.batch(store, chunk), lesions_of_rows(store, chunk.numpy()).to(explained.device)
        chances = explained.probabilities(images)
        if not torch.isfinite(chances).all():
            raise DataError("the network predicts NaN; train it again")
        asked = _targets(targets, chances, store, chunk)
        maps = [explained.maps(images, of) for of in asked]
        parts.add(chances, asked, maps, masks)
        if channels:
            sums = _summed(sums, explained.channel_maps(images), masks)
        on_batch(len(chunk))
    return parts.joined(sums)


def channels_on_rows(
    explained: ExplainedNetwork,
    store: Store,
    rows: NDArray[np.int64],
    *,
    batch_size: int = 64,
    on_batch: Callable[[int], None] = lambda _: None,
) -> Focus:
    """The focus of every channel of the explained layer on some rows of a store, (n, C).

    With ``focus_of_removed`` it compares channels that were pruned with those kept, in the network from before.

    Args:
        explained: the network; its explainer names the layer.
        store: of images and masks.
        rows: int64 (n,), n ≥ 1.
        batch_size: images at a time.
        on_batch: told the number of images of every batch that is done.
    """
    parts: list[Focus] = []
    for chunk in torch.from_numpy(rows).split(batch_size):
        masks = lesions_of_rows(store, chunk.numpy()).to(explained.device)
        parts.append(channel_focus(explained.channel_maps(explained.batch(store, chunk)), masks))
        on_batch(len(chunk))
    return joined(parts)


def joined(parts: Sequence[Focus]) -> Focus:
    """The focus of all images, one part after the other."""
    return Focus(np.concatenate([part.values for part in parts]), np.concatenate([part.why for part in parts]))


def lesions_of_rows(store: Store, rows: NDArray[np.int64]) -> Tensor:
    """Bool (n, S, S): the stored lesion masks of some rows, all false where an image or the store has none."""
    if store.masks is None:
        return torch.zeros((len(rows), store.size_px, store.size_px), dtype=torch.bool)
    has_mask = column_of(store.table, "has_mask").to_numpy(dtype=np.bool_)[rows]
    return torch.from_numpy((store.masks[rows] > 127) & has_mask[:, None, None])


@dataclass(eq=False)
class _Parts:
    """The figures of batch after batch."""

    chances: list[Tensor] = field(default_factory=list)
    targets: list[Tensor] = field(default_factory=list)
    focus: list[list[Focus]] = field(default_factory=list)
    blank: list[Tensor] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def add(self, chances: Tensor, targets: Sequence[Tensor], maps: Sequence[Tensor], masks: Tensor) -> None:
        self.chances.append(chances.cpu())
        self.targets.append(torch.stack([of.cpu() for of in targets]))
        self.focus.append([focus(one, masks) for one in maps])
        self.blank.append(torch.stack([(one.flatten(1) <= 0).all(dim=1).cpu() for one in maps]))
        self.sizes.append((maps[0].shape[1], maps[0].shape[2]))

    def joined(self, channels: ChannelSums | None) -> ExplainedRows:
        return ExplainedRows(
            torch.cat(self.chances).numpy(),
            torch.cat(self.targets, dim=1).numpy(),
            tuple(joined(list(one)) for one in zip(*self.focus, strict=True)),
            torch.cat(self.blank, dim=1).numpy(),
            self.sizes[0],
            channels,
        )


def _targets(targets: Targets, chances: Tensor, store: Store, rows: Tensor) -> list[Tensor]:
    if targets == "predicted":
        return [chances.argmax(dim=1)]
    if targets == "label":
        return [torch.from_numpy(store.labels[rows.numpy()].astype(np.int64))]
    return [torch.full((len(rows),), int(number)) for number in targets]


def _summed(before: ChannelSums | None, maps: Tensor, masks: Tensor) -> ChannelSums:
    values = channel_focus(maps, masks).values
    of_batch = ChannelSums(
        np.nansum(values, axis=0),
        (~np.isnan(values)).sum(axis=0),
        maps.double().clamp(min=0).mean(dim=(2, 3)).sum(dim=0).cpu().numpy(),
        len(maps),
    )
    if before is None:
        return of_batch
    return ChannelSums(
        before.focus + of_batch.focus,
        before.counts + of_batch.counts,
        before.activity + of_batch.activity,
        before.images + of_batch.images,
    )
