"""What the log of a blended training says of tone bands: shares, probabilities of replacement, and AUROCs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

_REPLACED, _SHARE, _CHANCE, _N, _AUC, _AUC_N = (
    "blend_replaced",
    "blend_share_",
    "blend_chance_",
    "blend_n_",
    "auc_",
    "auc_n_",
)
UNKNOWN = "unknown"
Record = Mapping[str, Any]
ByBand = dict[str, float]
FigureT = TypeVar("FigureT")


@dataclass(frozen=True)
class Look:
    """What one look at the validation images of a tone band found.

    Attributes:
        auc: macro one-vs-rest AUROC; None where it is not defined.
        n: images; None where the log does not say.
    """

    auc: float | None
    n: int | None


@dataclass(frozen=True)
class Course:
    """A blended training, or that of one fold, by epoch (from 1) and tone band.

    Attributes:
        images: training images of each band before, ``unknown`` for those without one; empty where not recorded.
        replaced: mean probability of replacement over all training images, 0..1; NaN where not recorded.
        shares: expected shares of the epochs, 0..1.
        chances: mean probabilities of replacement, 0..1; a band without images has none.
        looks: at validation images, after the epoch.
    """

    images: dict[str, int] = field(default_factory=dict)
    replaced: dict[int, float] = field(default_factory=dict)
    shares: dict[int, ByBand] = field(default_factory=dict)
    chances: dict[int, ByBand] = field(default_factory=dict)
    looks: dict[int, dict[str, Look]] = field(default_factory=dict)

    @property
    def bands(self) -> tuple[str, ...]:
        """All tone bands of the log, in its order."""
        return tuple(dict.fromkeys(band for shares in self.shares.values() for band in shares))

    @property
    def ends(self) -> tuple[int, int]:
        """The first and the last epoch."""
        return min(self.shares), max(self.shares)

    def share_before(self, band: str) -> float | None:
        """Share of the training images whose band is known; None where images were not recorded."""
        known = sum(n for name, n in self.images.items() if name != UNKNOWN)
        return self.images.get(band, 0) / known if known else None


def read_courses(log: Iterable[Record]) -> list[Course]:
    """One per fold that blended, or the one of a run without folds; none of a run that did not blend.

    An epoch run twice (after a resume) counts once, by its last record.
    """
    found: dict[int, Course] = {}
    for record in log:
        epoch, fold = record.get("epoch"), record.get("fold") or 0
        shares = _numbers(record, _SHARE)
        if isinstance(epoch, bool) or not isinstance(epoch, int) or not isinstance(fold, int) or not shares:
            continue
        course = found.setdefault(fold, Course())
        course.shares[epoch] = shares
        course.chances[epoch] = _numbers(record, _CHANCE)
        course.replaced[epoch] = _numbers(record, _REPLACED).get("", math.nan)
        course.images.update({band: int(n) for band, n in _numbers(record, _N).items()})
        looks = _looks(record)
        if looks:
            course.looks[epoch] = looks
    return [_in_order(course) for _, course in sorted(found.items())]


def _in_order(course: Course) -> Course:
    return Course(
        course.images,
        replaced=_by_epoch(course.replaced),
        shares=_by_epoch(course.shares),
        chances=_by_epoch(course.chances),
        looks=_by_epoch(course.looks),
    )


def _by_epoch(figures: Mapping[int, FigureT]) -> dict[int, FigureT]:
    return dict(sorted(figures.items()))


def _looks(record: Record) -> dict[str, Look]:
    """Every band that the log names at this epoch; older logs name no n, and only bands with an image."""
    counts, aucs = _numbers(record, _AUC_N), _numbers(record, _AUC)
    named = [name.removeprefix(_AUC_N).removeprefix(_AUC) for name in record if name.startswith(_AUC)]
    return {band: Look(aucs.get(band), int(counts[band]) if band in counts else None) for band in dict.fromkeys(named)}


def _numbers(record: Record, prefix: str) -> ByBand:
    """The finite numbers under a prefix by what follows it."""
    return {
        name.removeprefix(prefix): float(value)
        for name, value in record.items()
        if name.startswith(prefix)
        and isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
    }
