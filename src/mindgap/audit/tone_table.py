"""What the measured skin tones of a set are, where they were measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.audit.record import Record
from mindgap.metrics.counts import Floats
from mindgap.tone.bands import CUT_OFFS

WEI_BANDS = {name for name, _ in CUT_OFFS["wei"]}
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
        is_cielab: whether the angle is in the range in which bands have their cut-offs.
    """

    degrees: Floats
    bands: NDArray[np.object_] | None = None
    flags: NDArray[np.object_] | None = None
    is_cielab: bool = True


def tone_record(
    tones: Tones,
    splits: NDArray[np.object_],
    *,
    split_names: Sequence[str],
    classes: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Record:
    """Histogram of the angle in bins of 5°, images per tone band, by split and by class, and how many are dark.

    A tone band comes from pixels; it is no Fitzpatrick type, which a person judges. Shares of bands are of the images
    whose tone is known; those of the others say by their flags why it is not, an image by all that it has.

    Args:
        tones: of n images.
        splits: object (n,).
        split_names: all splits.
        classes: by name, bool (n,): which images are of it.
    """
    known = np.isfinite(tones.degrees)
    angles = tones.degrees[known]
    counts = np.histogram(np.clip(angles, EDGES[0], EDGES[-1]), bins=EDGES)[0]
    quartiles = np.quantile(angles, [0.25, 0.5, 0.75]).tolist() if angles.size else [None, None, None]
    of_split = {name: splits == name for name in split_names}
    return {
        "n": int(known.sum()),
        "unknown": int((~known).sum()),
        "quartiles_degrees": quartiles,
        "edges_degrees": EDGES.tolist(),
        "counts": counts.tolist(),
        "darker_than_iii": _darker(tones, angles),
        "is_cielab": tones.is_cielab,
        "bands": _bands(tones.bands, of_split),
        "flags": _flag_counts(tones, np.ones(len(known), dtype=np.bool_)),
        "overall": _row(tones, np.ones(len(known), dtype=np.bool_)),
        "by_split": {name: _row(tones, mine) for name, mine in of_split.items()},
        "by_class": {name: _row(tones, mine) for name, mine in (classes or {}).items()},
    }


def _darker(tones: Tones, angles: Floats) -> int | None:
    """Images darker than band III: by the angle, or, where that is of another range, by bands of the same cut-offs."""
    if tones.is_cielab:
        return int((angles <= DARK_DEGREES).sum())
    if tones.bands is None or not {band for band in tones.bands if band} <= WEI_BANDS:
        return None
    return int(np.isin(tones.bands, ["IV", "V", "VI"]).sum())


def band_rank(band: str) -> tuple[int, str]:
    """Sorts tone bands of any cut-offs from light to dark, and other words after them."""
    places = [names.index(band) for names in ([name for name, _ in one] for one in CUT_OFFS.values()) if band in names]
    return (places[0] if places else max(map(len, CUT_OFFS.values())), band)


def flag_words(cell: object) -> list[str]:
    """The flags of one image, from words with commas between."""
    return [word.strip() for word in str(cell or "").replace(";", ",").split(",") if word.strip()]


def _bands(bands: NDArray[np.object_] | None, of_split: Mapping[str, NDArray[np.bool_]]) -> Record | None:
    if bands is None:
        return None
    return {
        name: {"n": int((bands == name).sum())}
        | {split: int(((bands == name) & mine).sum()) for split, mine in of_split.items()}
        for name in _names(bands)
    }


def _names(bands: Iterable[object]) -> list[str]:
    return sorted({str(band) for band in bands if band is not None}, key=band_rank)


def _row(tones: Tones, mine: NDArray[np.bool_]) -> Record | None:
    """How many of some images are of which band, and why the tone of the others is not known."""
    if tones.bands is None:
        return None
    known = np.array([band is not None for band in tones.bands], dtype=np.bool_)
    counts = {name: int((mine & (tones.bands == name)).sum()) for name in _names(tones.bands)}
    total = int((mine & known).sum())
    return {
        "n": int(mine.sum()),
        "known": total,
        "bands": counts,
        "shares": {name: n / total if total else None for name, n in counts.items()},
        "unknown": int((mine & ~known).sum()),
        "unknown_flags": _flag_counts(tones, mine & ~known),
    }


def _flag_counts(tones: Tones, mine: NDArray[np.bool_]) -> Record:
    if tones.flags is None:
        return {}
    words = [word for cell in tones.flags[mine] for word in flag_words(cell)]
    found, times = np.unique(words or np.empty(0, dtype=str), return_counts=True)
    return dict(zip(found.tolist(), times.tolist(), strict=True))
