"""Quantiles of the pixels under a mask, for many images at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def masked_quantiles(values: Tensor, masks: Tensor, shares: Sequence[float]) -> NDArray[np.float64]:
    """Quantiles of each image's masked pixels, with linear interpolation as NumPy's.

    Args:
        values: float32 (N, …).
        masks: bool (N, …).
        shares: Q shares in 0..1; ½ is the median.

    Returns:
        float64 (N, Q); NaN where no pixel is masked.
    """
    flat = torch.where(masks, values, torch.inf).flatten(1)
    rising = torch.from_numpy(np.sort(flat.numpy(), axis=1)) if flat.device.type == "cpu" else flat.sort(dim=1).values
    counts = masks.flatten(1).sum(dim=1)
    place = torch.tensor(shares, dtype=torch.float64, device=flat.device) * (counts[:, None] - 1).clamp_min(0)
    low = place.floor().long()
    below, above = (rising.gather(1, at.clamp_max(flat.shape[1] - 1)).double() for at in (low, place.ceil().long()))
    found = torch.where(counts[:, None] > 0, below + (above - below) * (place - low), torch.nan)
    return found.cpu().numpy()
