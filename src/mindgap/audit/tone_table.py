"""What the measured skin tones of a set are, where they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.audit.record import Record
from mindgap.metrics.counts import Floats

EDGES = np.arange(-90.0, 91.0, 5.0)
DARK_DEGREES = 28.0
"""Images at or below this angle are darker than tone band III (Wei & Chakraborti, Table 1)."""


@dataclass(frozen=True, eq=False)
class Tones:
    """Measured tones of n images.

    Attributes:
        degrees: float64 (n,), individual typology angle; NaN where it could not be measured.
        bands: object (n,), tone band or None; None as a whole where the table has no bands.
        flags: object (n,), words with commas between, why a measurement is doubtful; None as a whole where not kept.
    """

    degrees: Floats
    bands: NDArray[np.object_] | None = None
    flags: NDArray[np.object_] | None = None


def tone_record(tones: Tones, splits: NDArray[np.object_], *, split_names: Sequence[str]) -> Record:
    """Histogram of the angle in bins of 5°, images per tone band and split, and how many are dark.

    A tone band comes from pixels; it is no Fitzpatrick type, which a person judges.
    """
    known = np.isfinite(tones.degrees)
    angles = tones.degrees[known]
    counts = np.histogram(np.clip(angles, EDGES[0], EDGES[-1]), bins=EDGES)[0]
    quartiles = np.quantile(angles, [0.25, 0.5, 0.75]).tolist() if angles.size else [None, None, None]
    return {
        "n": int(known.sum()),
        "unknown": int((~known).sum()),
        "quartiles_degrees": quartiles,
        "edges_degrees": EDGES.tolist(),
        "counts": counts.tolist(),
        "darker_than_iii": int((angles <= DARK_DEGREES).sum()),
        "bands": _bands(tones.bands, splits, split_names),
        "flags": _flags(tones.flags),
    }


def _bands(bands: NDArray[np.object_] | None, splits: NDArray[np.object_], split_names: Sequence[str]) -> Record | None:
    if bands is None:
        return None
    names = sorted({str(band) for band in bands if band is not None}, key=_rank)
    return {
        name: {"n": int((bands == name).sum())}
        | {split: int(((bands == name) & (splits == split)).sum()) for split in split_names}
        for name in names
    }


def _rank(band: str) -> tuple[int, str]:
    order = ("I", "II", "III", "IV", "V", "VI")
    return (order.index(band) if band in order else len(order), band)


def _flags(flags: NDArray[np.object_] | None) -> Record:
    if flags is None:
        return {}
    words = [word.strip() for cell in flags if cell is not None for word in str(cell).replace(";", ",").split(",")]
    found, times = np.unique([word for word in words if word] or np.empty(0, dtype=str), return_counts=True)
    return dict(zip(found.tolist(), times.tolist(), strict=True))
