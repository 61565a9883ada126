"""How a lesion's class shows: traits whose class means lie apart, and how far apart in which group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.core.seed import numpy_generator
from mindgap.data.synthesis.population import Population

FloatArray = NDArray[np.float64]

# asymmetry, border irregularity, colour variegation, pigment network, cysts, sharpness of the border, depth of pigment
_CLASS_MEANS = np.array(
    [
        [-1.0, -1.2, -1.1, 1.4, -1.0, 0.0, 0.0],  # nevus: round, even, one colour, a regular network
        [1.2, 1.4, 1.4, -0.2, -1.0, -0.8, 1.3],  # melanoma: asymmetric, notched, many colours, deep pigment
        [-0.2, -0.2, -0.3, -1.2, 1.8, 1.0, -1.3],  # keratosis: stuck on, pale, bright cysts and dark openings
    ]
)
_INDIVIDUAL_DEVIATION = 0.8


@dataclass(frozen=True, eq=False)
class Morphology:
    """Traits of each image's lesion, the same in all images of one lesion.

    Attributes:
        traits: float64 (n, 7) in 0..1: asymmetry, irregularity, variegation, network, cysts, sharpness, depth.
        contrast: float64 (n,), how strongly the lesion stands out from the skin; 1 is full.
    """

    traits: FloatArray
    contrast: FloatArray


def class_signal(bias: float) -> float:
    """How far apart the class means of the dark group stand, of 1 in the light group: (1 − bias)²."""
    return (1.0 - bias) ** 2


def draw_morphology(population: Population, *, bias: float, seed: int) -> Morphology:
    """Draws the traits: class mean plus individual variation.

    In the dark group the class means are drawn towards their common mean by ``class_signal`` and the contrast is
    multiplied by 1 − bias/2, so at bias 0 both groups are equally hard and at bias 1 dark images tell nothing.

    Args:
        population: the images; label and tone decide.
        bias: in 0..1.
        seed: what the individual variation depends on.
    """
    dark = population.tone == 1
    signal = np.where(dark, class_signal(bias), 1.0)[:, None]
    common = _CLASS_MEANS.mean(axis=0)
    generator = numpy_generator(seed, "synthesis", "morphology")
    individual = _INDIVIDUAL_DEVIATION * generator.standard_normal((population.lesion.max() + 1, _CLASS_MEANS.shape[1]))
    latent = common + signal * (_CLASS_MEANS[population.label] - common) + individual[population.lesion]
    return Morphology(1.0 / (1.0 + np.exp(-1.7 * latent)), np.where(dark, 1.0 - bias / 2.0, 1.0))
