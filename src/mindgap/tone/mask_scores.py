"""How far found lesion masks agree with true ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def jaccard(found: Tensor, truth: Tensor) -> NDArray[np.float64]:
    """Intersection over union of each image's masks, float64 (n,); NaN where both are empty.

    Args:
        found: bool (N, H, W).
        truth: bool (N, H, W).

    Example:
        Masks of 4 and 6 pixels that share 3 have 3/7.
    """
    return _share(found & truth, found | truth)


def dice(found: Tensor, truth: Tensor) -> NDArray[np.float64]:
    """Twice the intersection over the sum of both masks, float64 (n,); NaN where both are empty.

    Example:
        Masks of 4 and 6 pixels that share 3 have 6/10.
    """
    overlap = jaccard(found, truth)
    return 2 * overlap / (1 + overlap)


def _share(part: Tensor, whole: Tensor) -> NDArray[np.float64]:
    above, below = (mask.flatten(1).sum(dim=1).cpu().numpy().astype(np.float64) for mask in (part, whole))
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
