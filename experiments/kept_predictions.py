"""Probabilities in half precision as text, so that a table can be finished where the networks are not any more."""

from __future__ import annotations

import base64
import zlib

import numpy as np
from numpy.typing import NDArray

from mindgap.data.image_store import Store


def packed(chances: NDArray[np.float64]) -> str:
    """Probabilities (n, C) as text."""
    return base64.b64encode(zlib.compress(chances.astype("<f2").tobytes(), 9)).decode()


def unpacked_test(text: str, store: Store) -> NDArray[np.float64]:
    """Probabilities (n, C) of a store's test images; of classes that exclude each other they add up to 1 again."""
    n = len(store.rows("test"))
    found = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<f2").reshape(n, -1).astype(np.float64)
    return found if store.task == "multi-label" else found / found.sum(axis=1, keepdims=True)
