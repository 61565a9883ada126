"""Images on which an exported file is compared with its network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindgap.core.seed import numpy_generator
from mindgap.data.image_store import Store

COUNT = 256


def images_to_compare(store: Store | None, *, size_px: int) -> tuple[str, NDArray[np.uint8]]:
    """What they are in words, and uint8 (n, S, S, 3): 256 of the validation split, else of the store, else random.

    Args:
        store: of the run; None if it is gone.
        size_px: side of a random image.
    """
    generator = numpy_generator(0, "compared images")
    if store is None:
        return "random", generator.integers(0, 256, (COUNT, size_px, size_px, 3), dtype=np.uint8)
    validation = store.rows("validation")
    kind, rows = ("validation", validation) if len(validation) else ("training", store.rows("train"))
    return kind, store.images[np.sort(generator.permutation(rows)[:COUNT])]
