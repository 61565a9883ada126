"""Near-duplicate images, found by perceptual hashes; reported, never dropped.

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
from scipy.sparse import csr_array

from mindgap.data.decode import HASH_BITS

MAX_BITS = 11
NEIGHBOURS = 128
"""Within one band's bucket each distinct hash is compared with so many that follow it; larger buckets are counted."""
_BANDS = 8


@dataclass(frozen=True)
class NearDuplicates:
    """Near-duplicates between splits, or between what else parts the images.

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
            "method": method(),
            "pairs_across_splits": self.pairs,
            "images_across_splits": self.images,
            "crowded_buckets": self.crowded,
            "examples": [
                {"ids": [ids[a], ids[b]], "splits": [splits[a], splits[b]], "bits": int(bits)}
                for a, b, bits in self.examples.tolist()
            ],
        }


@dataclass(frozen=True, eq=False)
class ClosePairs:
    """Which distinct hashes are near each other.

    Attributes:
        inverse: int64 (n,), the number of each image's hash in 0..H-1.
        close: int64 (pairs, 3): two hash numbers, the first not above the second, and the bits they differ in; every
            hash is close to itself.
        crowded: buckets too large to be compared in full.
    """

    inverse: NDArray[np.int64]
    close: NDArray[np.int64]
    crowded: int

    @staticmethod
    def of(hashes: NDArray[np.uint64]) -> ClosePairs:
        """Compares the hashes, uint64 (n, 2), of n images.

        Memory is linear in images; time too, but for buckets of one band, compared up to ``NEIGHBOURS`` apart.
        """
        unique, inverse = np.unique(hashes, axis=0, return_inverse=True)
        close, crowded = _close_pairs(unique)
        same = np.arange(len(unique))
        itself = np.stack([same, same, np.zeros_like(same)], axis=1)
        return ClosePairs(inverse.ravel().astype(np.int64), np.concatenate([itself, close]), crowded)

    def all(self) -> tuple[int, int]:
        """How many pairs of images are near-duplicates, and how many images are in one."""
        sizes = np.bincount(self.inverse)
        first, second = sizes[self.close[:, 0]], sizes[self.close[:, 1]]
        itself = self.close[:, 0] == self.close[:, 1]
        pairs = np.where(itself, first * (first - 1) // 2, first * second)
        paired = np.zeros(len(sizes), dtype=np.bool_)
        paired[self.close[pairs > 0, :2].ravel()] = True
        return int(pairs.sum()), int(sizes[paired].sum())

    def between(self, parts: NDArray[Any], *, examples: int = 20) -> NearDuplicates:
        """Near-duplicates in different parts.

        Args:
            parts: (n,), the split (or label, or cluster) of each image.
            examples: how many pairs to name.
        """
        codes = np.unique(parts, return_inverse=True)[1].ravel()
        wide = int(codes.max(initial=0)) + 1
        rows = len(codes)
        hashes = int(self.inverse.max(initial=-1)) + 1
        counts = csr_array((np.ones(rows, dtype=np.int64), (self.inverse, codes)), shape=(hashes, wide))
        across = self._across(counts)
        near = self.close[across > 0]
        near = near[np.argsort(near[:, 2], kind="stable")]
        return NearDuplicates(
            pairs=int(across.sum()),
            images=self._images(counts),
            examples=_examples(near[:examples], self.inverse, codes),
            crowded=self.crowded,
        )

    def _across(self, counts: csr_array) -> NDArray[np.int64]:
        """Image pairs in different parts for each pair of hashes, (pairs,)."""
        sizes = np.bincount(self.inverse)
        first, second = self.close[:, 0], self.close[:, 1]
        together = np.asarray(counts[first].multiply(counts[second]).sum(axis=1)).ravel().astype(np.int64)
        ordered = sizes[first] * sizes[second] - together
        return np.where(first == second, ordered // 2, ordered)

    def _images(self, counts: csr_array) -> int:
        """Images with a near-duplicate in another part: whose hash is near hashes that occur in two or more parts."""
        sizes = np.bincount(self.inverse)
        first, second = self.close[:, 0], self.close[:, 1]
        ones = np.ones(2 * len(first), dtype=np.int64)
        places = (np.concatenate([first, second]), np.concatenate([second, first]))
        neighbours = csr_array((ones, places), shape=(len(sizes), len(sizes)))
        parts_near = np.diff(csr_array(neighbours @ counts).indptr)
        return int(sizes[parts_near >= 2].sum())


def method() -> str:
    """What counts as a near-duplicate, in words."""
    return f"signs of {HASH_BITS} cosine frequencies, at most {MAX_BITS} differ"


def near_duplicates(hashes: NDArray[np.uint64], splits: NDArray[np.object_], *, examples: int = 20) -> NearDuplicates:
    """Finds near-duplicates in different splits.

    Args:
        hashes: uint64 (n, 2), from ``perceptual_hashes``.
        splits: object (n,), the split of each image.
        examples: how many pairs to name.
    """
    return ClosePairs.of(hashes).between(splits.astype(str), examples=examples)


def _examples(close: NDArray[np.int64], inverse: NDArray[np.int64], codes: NDArray[np.int64]) -> NDArray[np.int64]:
    found: list[tuple[int, int, int]] = []
    for first, second, bits in close.tolist():
        rows, others = np.flatnonzero(inverse == first), np.flatnonzero(inverse == second)
        for row in rows.tolist():
            elsewhere = others[codes[others] != codes[row]]
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
