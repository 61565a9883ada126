"""What a store says of its tones: how many images are of which, before and after, and how near the twins come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.tone.shift import Shift, ShiftSettings
from mindgap.tone.targets import RANGES_DEGREES
from mindgap.workflows.tone_pixels import ToneColumns


def tone_record(
    measured: ToneColumns,
    columns: Mapping[str, Any],
    *,
    shift: Shift,
    source_bands: NDArray[np.object_],
    settings: ShiftSettings,
    changed: NDArray[np.float64],
) -> dict[str, Any]:
    """The entry ``tone`` of ``store.json``.

    ``bands`` counts images by the bands of Wei & Chakraborti before and in their twins (an image without one counts as
    it is), as their Table 2 does; ``twins_not_known`` are twins whose angle nobody can measure, which count nowhere.
    ``error_degrees`` is |achieved − target| over the twins whose angle is known, and ``delta_e`` the shift of the skin
    in CIELAB, as quartiles and the 90 % point. ``lesions_changed`` are the twins that differ from their images in any
    pixel of the mask, and ``lesion_share_changed`` the mean share of those pixels.
    """
    twins = columns["twin_tone"]
    after = np.where(shift.possible, twins, source_bands)
    error = np.abs(columns["twin_ita_degrees"] - columns["twin_target_degrees"])
    flags = Counter(flag for words in measured.flags for flag in words.split(",") if flag)
    return {
        "shift": settings.model_dump(),
        "measured": int(np.isfinite(measured.ita_degrees).sum()),
        "not_measured": int((~np.isfinite(measured.ita_degrees)).sum()),
        "flags": dict(sorted(flags.items())),
        "twins": int(shift.possible.sum()),
        "twins_not_known": int(sum(band is None for band in twins[shift.possible])),
        "no_twin": int((~shift.possible).sum()),
        "bands": {"before": _counts(source_bands), "after": _counts(after)},
        "error_degrees": _spread(error),
        "lesions_changed": int((changed[shift.possible] > 0).sum()),
        "lesion_share_changed": _mean(changed[shift.possible]),
        "delta_e": _spread(np.where(shift.possible, shift.distance, np.nan)),
    }


def _counts(bands: NDArray[np.object_]) -> dict[str, int]:
    counts = Counter(band for band in bands.tolist() if band is not None)
    return {band: counts[band] for band in RANGES_DEGREES}


def _spread(values: NDArray[np.float64]) -> dict[str, float | int | None]:
    known = values[np.isfinite(values)]
    points = np.quantile(known, [0.25, 0.5, 0.75, 0.9]).tolist() if len(known) else [None] * 4
    return {"n": len(known), **dict(zip(("q25", "median", "q75", "p90"), points, strict=True))}


def _mean(values: NDArray[np.float64]) -> float | None:
    """Of what is known; None of nothing."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
