"""Near-duplicate images in different splits, found by perceptual hashes; reported, never dropped.

Two images count as near-duplicates if at most 11 of their 128 hash bits differ: at 64 px, 99 % of photographs that were
scaled, recompressed and brightened do, and about 2 in a million pairs of different ones. The hash is cut into 8 bands
of 16 bits, and only images that agree in one whole band are compared: all pairs of up to 7 bits, nearly all up to 11.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.data.decode import HASH_BITS

MAX_BITS = 11
NEIGHBOURS = 128
"""Within one band's bucket each distinct hash is compared with so many that follow it; larger buckets are counted."""
_BANDS = 8


@dataclass(frozen=True)
class NearDuplicates:
    """Near-duplicates between splits.

    Attributes:
        pairs: image pairs in different splits whose hashes differ in at most ``MAX_BITS`` bits.
        images: images in at least one such pair.
        examples: int64 (k, 3): two row numbers and the differing bits, closest first.
        crowded: buckets too large to be compared in full, so that ``pairs`` is a lower bound.
    """

    pairs: int
    images: int
    examples: NDArray[np.int64]
    crowded: int

    def record(self, ids: NDArray[np.object_], splits: NDArray[np.object_]) -> dict[str, Any]:
        """The entry of ``store.json``."""
        return {
            "method": f"signs of {HASH_BITS} cosine frequencies, at most {MAX_BITS} differ",
            "pairs_across_splits": self.pairs,
            "images_across_splits": self.images,
            "crowded_buckets": self.crowded,
            "examples": [
                {"ids": [ids[a], ids[b]], "splits": [splits[a], splits[b]], "bits": int(bits)}
                for a, b, bits in self.examples.tolist()
            ],
        }


def near_duplicates(hashes: NDArray[np.uint64], splits: NDArray[np.object_], *, examples: int = 20) -> NearDuplicates:
    """Finds near-duplicates in different splits.

    Args:
        hashes: uint64 (n, 2), from ``perceptual_hash``.
        splits: object (n,), the split of each image.
        examples: how many pairs to name.

    Memory is linear in images; time too, but for buckets of one band, which are compared up to ``NEIGHBOURS`` apart.
    """
    unique, inverse = np.unique(hashes, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    names, split_ids = np.unique(splits.astype(str), return_inverse=True)
    counts = np.zeros((len(unique), len(names)), dtype=np.int64)
    np.add.at(counts, (inverse, split_ids), 1)
    close, crowded = _close_pairs(unique)
    same = np.arange(len(unique))
    close = np.concatenate([np.stack([same, same, np.zeros_like(same)], axis=1), close])
    across = _pairs_across(counts, close)
    close = close[across > 0]
    close = close[np.argsort(close[:, 2], kind="stable")]
    return NearDuplicates(
        pairs=int(across.sum()),
        images=_images_across(counts, close),
        examples=_examples(close[:examples], inverse, split_ids),
        crowded=crowded,
    )


def _pairs_across(counts: NDArray[np.int64], close: NDArray[np.int64]) -> NDArray[np.int64]:
    """Image pairs in different splits for each pair of hashes, (pairs,)."""
    first, second = counts[close[:, 0]], counts[close[:, 1]]
    ordered = first.sum(axis=1) * second.sum(axis=1) - (first * second).sum(axis=1)
    return np.where(close[:, 0] == close[:, 1], ordered // 2, ordered)


def _images_across(counts: NDArray[np.int64], close: NDArray[np.int64]) -> int:
    """Images with a near-duplicate in another split: those whose hash is near one that occurs in another split."""
    near = np.zeros(counts.shape, dtype=np.bool_)
    for here, there in ((0, 1), (1, 0)):
        np.logical_or.at(near, close[:, here], counts[close[:, there]] > 0)
    others = near.sum(axis=1, keepdims=True) - near > 0
    return int(counts[others].sum())


def _examples(close: NDArray[np.int64], inverse: NDArray[np.int64], split_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    found: list[tuple[int, int, int]] = []
    for first, second, bits in close.tolist():
        rows, others = np.flatnonzero(inverse == first), np.flatnonzero(inverse == second)
        for row in rows.tolist():
            elsewhere = others[split_ids[others] != split_ids[row]]
            if len(elsewhere):
                found.append((min(row, int(elsewhere[0])), max(row, int(elsewhere[0])), bits))
                break
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def _close_pairs(hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], int]:
    """Pairs of distinct hashes at most ``MAX_BITS`` apart, int64 (pairs, 3), and the number of crowded buckets."""
    bands = hashes.view(np.uint16).reshape(len(hashes), _BANDS)
    found: list[NDArray[np.int64]] = [np.empty((0, 3), dtype=np.int64)]
    crowded = 0
    for band in range(_BANDS):
        order = np.argsort(bands[:, band], kind="stable")
        keys = bands[order, band]
        crowded += int((np.bincount(keys) > NEIGHBOURS + 1).sum())
        for first, second in _bucket_pairs(order, keys):
            bits = np.bitwise_count(hashes[first] ^ hashes[second]).sum(axis=1)
            near = bits <= MAX_BITS
            found.append(np.stack([first[near], second[near], bits[near].astype(np.int64)], axis=1))
    pairs = np.concatenate(found)
    pairs[:, :2].sort(axis=1)
    return np.unique(pairs, axis=0), crowded


def _bucket_pairs(
    order: NDArray[np.int64], keys: NDArray[np.uint16]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs with the same key, one distance in the sorted order at a time, until no bucket is that large."""
    for distance in range(1, min(NEIGHBOURS, len(order) - 1) + 1):
        same = keys[distance:] == keys[:-distance]
        if not same.any():
            return
        yield order[:-distance][same], order[distance:][same]
