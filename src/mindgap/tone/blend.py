"""Adaptive blending: which images an epoch takes from their twins of another tone (Wei & Chakraborti, Alg. 1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mindgap.core.config import StrictModel
from mindgap.core.errors import ConfigError, ShapeError
from mindgap.core.seed import numpy_generator
from mindgap.tone.targets import RANGES_DEGREES

Reading = Literal["flatten", "original"]
BANDS = tuple(RANGES_DEGREES)


class BlendSettings(StrictModel):
    """When images are replaced.

    Attributes:
        reading: ``flatten`` replaces images of the tones that are too many, by twins of those that are too few;
            ``original`` is the paper to the letter: eq. 13 replaces images of the tones that are too few.
        share: P_target of eq. 13, the share that every tone should have.
        every: K of Alg. 1, epochs between two looks at the validation images.
        least_auc: τ, below which a tone's probability rises.
        step: Δ of eq. 14, by which it does.
        most: above which eq. 14 raises no probability.
        least_n: validation images of a tone, of which fewer say nothing.
    """

    reading: Reading = "flatten"
    share: float = Field(default=1 / len(BANDS), gt=0, le=1)
    every: int = Field(default=5, ge=1)
    least_auc: float = Field(default=0.7, ge=0, le=1)
    step: float = Field(default=0.05, ge=0, le=1)
    most: float = Field(default=0.9, ge=0, le=1)
    least_n: int = Field(default=30, ge=1)


class AdaptiveBlend:
    """The probabilities of replacement, and the draws of every epoch.

    Args:
        tones: object (n,), tone band of each training image; None where it is not known, which is never replaced.
        twins: object (n,), tone band of each image's twin; None where it has none, which is never replaced.
        settings: when images are replaced.
        seed: of the draws.

    Raises:
        ShapeError: there is not one twin's tone per image.
        ConfigError: a tone is none of the six bands.
    """

    def __init__(
        self,
        tones: Iterable[str | None],
        twins: Iterable[str | None],
        *,
        settings: BlendSettings | None = None,
        seed: int,
    ) -> None:
        self.settings, self.seed = settings or BlendSettings(), seed
        self._tone, self._twin = _numbers(tones), _numbers(twins)
        if len(self._tone) != len(self._twin):
            raise ShapeError(f"{len(self._tone)} tones and {len(self._twin)} twins; give one of each per image")
        counts = np.bincount(self._tone[self._tone >= 0], minlength=len(BANDS))
        shares = counts / max(counts.sum(), 1)
        share = self.settings.share
        if self.settings.reading == "original":
            first = np.maximum(0.0, (share - shares) / share)
        else:
            first = np.where(shares > share, 1 - share / np.maximum(shares, share), 0.0)
        self.shares: Mapping[str, float] = dict(zip(BANDS, shares.tolist(), strict=True))
        self._lacks = shares < share
        self._first: NDArray[np.float64] = first
        self._raised = np.zeros(len(BANDS), dtype=np.int64)

    def is_due(self, epoch: int) -> bool:
        """Whether the validation images are looked at after so many epochs."""
        return epoch > 0 and epoch % self.settings.every == 0

    def look(self, aucs: Mapping[str, float | None], counts: Mapping[str, int]) -> tuple[str, ...]:
        """Raises the probability of every tone that is told apart too badly (eq. 14).

        Args:
            aucs: macro one-vs-rest AUROC of the validation images of each tone band; None or NaN where undefined.
            counts: validation images of each.

        Returns:
            The tone bands whose AUROC says nothing: undefined, or of too few images; nothing changed for them.
        """
        unknown: list[str] = []
        for number, band in enumerate(BANDS):
            auc = aucs.get(band)
            if auc is None or not np.isfinite(auc) or counts.get(band, 0) < self.settings.least_n:
                unknown.append(band)
            elif auc < self.settings.least_auc:
                self._raised[number] += 1
        return tuple(unknown)

    def probabilities(self) -> NDArray[np.float64]:
        """Of replacing each training image, float64 (n,)."""
        changes = (self._tone >= 0) & (self._twin >= 0)
        tone, twin = np.maximum(self._tone, 0), np.maximum(self._twin, 0)
        first = self._first[tone]
        if self.settings.reading == "original":
            raised = self._raised[tone]
        else:  # it is the twin's tone that gets more; images of a rare tone are left as they are
            raised = np.where(first > 0, self._raised[twin], 0)
            changes &= tone != twin
            first = np.where(self._lacks[twin], first, 0.0)
        later = np.maximum(first, np.minimum(first + self.settings.step * raised, self.settings.most))
        return np.where(changes, later, 0.0)

    def draw(self, epoch: int, positions: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
        """Which images an epoch takes from the twins; a function of seed, epoch, positions and probabilities alone.

        Args:
            epoch: from 0.
            positions: of training images, of any shape; an image that is there twice is drawn twice. None is each once.

        Returns:
            bool, of the shape of the positions, or (n,).
        """
        where = np.arange(len(self._tone)) if positions is None else positions
        return numpy_generator(self.seed, "blend", epoch).random(where.shape) < self.probabilities()[where]

    def record(self) -> dict[str, Any]:
        """What the log says: images and shares before, the shares that are expected now, and how many are replaced.

        ``chances`` is the mean probability of replacement over the images of a tone band, None of a band without any;
        ``shares`` are over the images of known tone, as are ``shares_before``, and None where there is none.
        """
        chance = self.probabilities()
        known = self._tone >= 0
        n = int(known.sum())
        counts = np.bincount(self._tone[known], minlength=len(BANDS))
        stays = np.bincount(self._tone[known], weights=1 - chance[known], minlength=len(BANDS))
        comes = np.bincount(np.maximum(self._twin, 0)[known], weights=chance[known], minlength=len(BANDS))
        chances = [1 - left / images if images else None for left, images in zip(stays, counts, strict=True)]
        return {
            "replaced": float(chance.sum() / max(len(chance), 1)),
            "images": dict(zip(BANDS, counts.tolist(), strict=True)) | {"unknown": int((~known).sum())},
            "chances": {band: None if mean is None else float(mean) for band, mean in zip(BANDS, chances, strict=True)},
            "shares_before": dict(self.shares) if n else dict.fromkeys(BANDS),
            "shares": dict(zip(BANDS, ((stays + comes) / n).tolist(), strict=True)) if n else dict.fromkeys(BANDS),
            "raised": dict(zip(BANDS, self._raised.tolist(), strict=True)),
        }

    def state(self) -> dict[str, list[int]]:
        """What a checkpoint keeps."""
        return {"raised": self._raised.tolist()}

    def restore(self, state: Mapping[str, Sequence[int]]) -> None:
        """Takes back what ``state`` gave."""
        self._raised = np.array(state["raised"], dtype=np.int64)


def _numbers(bands: Iterable[str | None]) -> NDArray[np.int64]:
    """Positions of bands, −1 where there is none."""
    bands, known = list(bands), {band: number for number, band in enumerate(BANDS)}
    strange = next((band for band in bands if band is not None and band not in known), None)
    if strange is not None:
        raise ConfigError(f"no tone band {strange!r}; a blend knows {', '.join(BANDS)}")
    return np.array([-1 if band is None else known[band] for band in bands], dtype=np.int64)
