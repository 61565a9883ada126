"""Who is shown: lesions with label, tone, sex and age, and the images of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.core.seed import numpy_generator

CLASSES = ("nevus", "melanoma", "keratosis")
TONES = ("light", "dark")
_CLASS_SHARES = (0.4, 0.3, 0.3)
_ITA_RANGES_DEGREES = ((28.0, 62.0), (-45.0, 5.0))  # per tone, with a gap between them
_IMAGES_PER_LESION_SHARES = (0.78, 0.15, 0.05, 0.02)  # one, two, three, four
_UNKNOWN_SHARE = 0.02

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Population:
    """The rows of the table, one per image; what belongs to a lesion is the same in all its images.

    Attributes:
        lesion: int64 (n,), number of the lesion.
        label: int64 (n,), index into CLASSES.
        tone: int64 (n,), index into TONES.
        ita_degrees: float64 (n,), true angle of the unlit, uncast skin.
        sex: (n,) of ``female``, ``male`` or empty.
        age: (n,) of years in steps of five, or empty.
    """

    lesion: IntArray
    label: IntArray
    tone: IntArray
    ita_degrees: FloatArray
    sex: NDArray[np.str_]
    age: NDArray[np.str_]

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.lesion)


def draw_population(n: int, *, dark_share: float, seed: int) -> Population:
    """Draws n images; exactly round(dark_share·n) are dark, and label, sex and age do not depend on tone.

    Args:
        n: number of images.
        dark_share: share of the dark group, in 0..1.
        seed: what everything depends on.
    """
    generator = numpy_generator(seed, "synthesis", "population")
    dark = round(dark_share * n)
    sizes = [_lesion_sizes(count, generator) for count in (n - dark, dark)]
    tone = np.repeat([0, 1], [len(part) for part in sizes])
    lesions = len(tone)
    label = np.concatenate([_labels(len(part), generator) for part in sizes])
    low, high = np.array(_ITA_RANGES_DEGREES)[tone].T
    ita = np.round(generator.uniform(low, high), 2)
    sex = np.where(generator.random(lesions) < 0.5, "female", "male")
    years = 5 * np.round(np.clip(generator.normal(52, 17, lesions), 5, 90) / 5).astype(np.int64)
    sex = np.where(generator.random(lesions) < _UNKNOWN_SHARE, "", sex)
    age = np.where(generator.random(lesions) < _UNKNOWN_SHARE, "", years.astype(np.str_))
    row = generator.permutation(np.repeat(np.arange(lesions), np.concatenate(sizes)))
    return Population(generator.permutation(lesions)[row], label[row], tone[row], ita[row], sex[row], age[row])


def _lesion_sizes(images: int, generator: np.random.Generator) -> IntArray:
    """Images per lesion, summing to ``images``."""
    sizes = generator.choice(len(_IMAGES_PER_LESION_SHARES), size=images, p=_IMAGES_PER_LESION_SHARES) + 1
    ends = np.minimum(sizes.cumsum(), images)
    return np.diff(ends, prepend=0)[: int(np.searchsorted(ends, images)) + (images > 0)]


def _labels(lesions: int, generator: np.random.Generator) -> IntArray:
    """Labels in the class shares up to rounding, in random order."""
    ends = np.round(np.cumsum(_CLASS_SHARES) * lesions)
    return generator.permutation(np.searchsorted(ends, np.arange(lesions), side="right")).astype(np.int64)
