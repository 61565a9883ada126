"""Images by tone band before and after their skin was moved, beside a printed table, and whether dark bands gained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from mindgap.audit.claim import judge_claim
from mindgap.audit.paired_share import paired_share_difference
from mindgap.core.errors import DataError
from mindgap.data.image_store import Store

Printed = Mapping[Literal["before", "after"], Mapping[str, int]]
DARKER = ("III", "IV", "V", "VI")
CLAIM = "more images are of band III or darker after it"


def tone_table(store: Store, printed: Printed, *, seed: int) -> dict[str, Any]:
    """Counts by band as printed and as measured, and the claim that dark bands are less rare afterwards.

    The table counts all images of a known band, before and after. The claim is about the share of band III or darker
    among those that have one both times, resampled by cluster; one without a twin keeps its own.

    Args:
        store: that ``mindgap tone`` wrote.
        printed: ``before`` and ``after``, images by band.
        seed: of the resampling.

    Raises:
        DataError: no image has a known band.
    """
    bands = (store.info.model_dump(mode="json").get("tone") or {}).get("bands") or {}
    table = store.table
    before = table["tone"].to_numpy(dtype=object)
    moved = table["twin_tone"].to_numpy(dtype=object)
    has_twin = table["twin_target_degrees"].notna().to_numpy()
    after = np.where(has_twin, moved, before)
    known = np.array([one is not None and other is not None for one, other in zip(before, after, strict=True)])
    known &= ~(table["tone"].isna().to_numpy() | (has_twin & table["twin_tone"].isna().to_numpy()))
    if not known.any():
        raise DataError(f"{store.path}: no image has a known tone band; look at the flags that mindgap tone wrote")
    dark = [np.isin(of[known].astype(str), DARKER).astype(np.float64) for of in (before, after)]
    difference = paired_share_difference(dark[0], dark[1], clusters=store.clusters[known], seed=seed)
    published = _dark_share(printed["after"]) - _dark_share(printed["before"])
    judged = judge_claim(difference, direction="larger", published=published)
    claim = {"says": CLAIM, "published": round(published, 6), "difference": difference}
    return {
        "printed": {when: dict(of) for when, of in printed.items()},
        "measured": bands,
        "claim": claim | {"verdict": judged.verdict, "why": judged.why},
    }


def _dark_share(counts: Mapping[str, int]) -> float:
    return sum(of for band, of in counts.items() if band in DARKER) / sum(counts.values())
