"""Two marks per stored image: one that only the same bytes share, one that near-duplicates nearly share."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mindgap.data.decode import perceptual_hashes, thumbnail

_CHUNK = 512


class ImageHashes(NamedTuple):
    """The marks of n images.

    Attributes:
        identical: int64 (n,), the same number for images whose stored bytes are the same.
        perceptual: uint64 (n, 2), see ``mindgap.data.duplicates``.
    """

    identical: NDArray[np.int64]
    perceptual: NDArray[np.uint64]


def image_hashes(images: NDArray[np.uint8]) -> ImageHashes:
    """Reads every image once: a 128-bit digest of its bytes and the hash of its thumbnail.

    Args:
        images: uint8 (n, S, S, 3), which may be a memory map.
    """
    count = len(images)
    digests = np.empty(count, dtype="S16")
    perceptual = np.empty((count, 2), dtype=np.uint64)
    for start in range(0, count, _CHUNK):
        part = np.asarray(images[start : start + _CHUNK])
        stop = start + len(part)
        digests[start:stop] = [_digest(image) for image in part]
        perceptual[start:stop] = perceptual_hashes(np.stack([thumbnail(image) for image in part]))
    identical = np.unique(digests, return_inverse=True)[1].ravel().astype(np.int64)
    return ImageHashes(identical, perceptual)


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
