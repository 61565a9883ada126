"""Images on which an exported file is compared with its network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.core.seed import numpy_generator
from mindgap.data.image_store import Store

COUNT = 256


@dataclass(frozen=True, eq=False)
class ComparedImages:
    """Images, and where they are from.

    Attributes:
        kind: what they are in words: ``validation``, ``training`` or ``random``.
        images: uint8 (n, S, S, 3).
        rows: int64 (n,), of the store; none of random ones.
    """

    kind: str
    images: NDArray[np.uint8]
    rows: NDArray[np.int64]


def images_to_compare(store: Store | None, *, size_px: int) -> ComparedImages:
    """Up to 256 images of the validation split, else of the training split; 256 random ones without a store.

    Args:
        store: of the run; None if it is gone.
        size_px: side of a random image.
    """
    generator = numpy_generator(0, "compared images")
    if store is None:
        noise = generator.integers(0, 256, (COUNT, size_px, size_px, 3), dtype=np.uint8)
        return ComparedImages("random", noise, np.empty(0, dtype=np.int64))
    validation = store.rows("validation")
    kind, rows = ("validation", validation) if len(validation) else ("training", store.rows("train"))
    drawn = np.sort(generator.permutation(rows)[:COUNT])
    return ComparedImages(kind, store.images[drawn], drawn)
