"""The picture: skin of a known tone, the lesion, hair, the microscope's dark frame, a cast and sensor noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.core.seed import numpy_generator
from mindgap.data.synthesis.colour import lab_to_linear, linear_to_srgb
from mindgap.data.synthesis.fields import Array
from mindgap.data.synthesis.lesion import draws_per_lesion, paint_lesion
from mindgap.data.synthesis.morphology import Morphology
from mindgap.data.synthesis.overlay import draw_frame, draw_hair, frame_light, hair_cover
from mindgap.data.synthesis.population import Population
from mindgap.data.synthesis.skin import draw_texture, skin_colour, skin_texture

CAST_SHARE = 0.25
_CAST_GAINS = np.array([0.95, 0.82, 1.70])  # violet: little green, much blue, in linear light
_DARKEST = 5.0  # L* that pigment cannot fall below


@dataclass(frozen=True, eq=False)
class Pictures:
    """A batch of images and what is true of them.

    Attributes:
        images: uint8 (B, S, S, 3), sRGB.
        masks: bool (B, S, S), the lesion.
        clear: bool (B, S, S), outside lesion, hair and dark frame: skin and nothing else.
        cast: bool (B,), seen under violet light.
        light: float32 (B, 3), gains of red, green and blue light of it; 1 without.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    clear: NDArray[np.bool_]
    cast: NDArray[np.bool_]
    light: Array


def paint(rows: NDArray[np.int64], population: Population, morphology: Morphology, *, size: int, seed: int) -> Pictures:
    """Paints some rows of the population; an image depends on its row and the seed, not on its neighbours.

    Args:
        rows: int64 (B,).
        population: who is shown.
        morphology: how their lesions look.
        size: side S in pixels.
        seed: what everything depends on.
    """
    lesions = population.lesion[rows]
    shots = [_Shot.draw(row, size, seed) for row in rows]
    position = (2.0 * (np.arange(size, dtype=np.float32) + 0.5) / size - 1.0)[None].repeat(len(rows), axis=0)
    view = np.stack([shot.view for shot in shots])
    lesion = paint_lesion(
        np.stack([_lesion_numbers(one, seed) for one in lesions]),
        morphology.traits[rows].astype(np.float32),
        rows=(position - view[:, :1]) * view[:, 2:3],
        columns=(position - view[:, 1:2]) * view[:, 3:4],
    )
    hair = hair_cover(position, np.stack([shot.hair for shot in shots]))
    frame = frame_light(position, np.stack([shot.frame for shot in shots]))
    clear = ~lesion.mask & (hair < 0.03) & (frame > 0.98)
    free = np.stack([numpy_generator(seed, "synthesis", "skin", int(one)).uniform(-1, 1, 2) for one in lesions])
    tone = skin_colour(population.ita_degrees[rows], population.tone[rows], free)
    lab = tone[:, None, None, :] + skin_texture([shot.texture for shot in shots], position, clear)
    cover = lesion.cover * morphology.contrast[rows].astype(np.float32)[:, None, None]
    lab += cover[..., None] * lesion.shift
    lab[..., 0] = _DARKEST + 3.0 * np.logaddexp(0.0, (lab[..., 0] - _DARKEST) / 3.0)
    linear = lab_to_linear(lab)
    hair_colour = np.stack([shot.hair_colour for shot in shots])[:, None, None, :]
    linear += hair[..., None] * (hair_colour - linear)
    light = np.stack([shot.light for shot in shots])
    linear *= frame[..., None] * light[:, None, None, :]
    noise = np.stack([shot.noise for shot in shots])
    images = np.clip(np.rint(255.0 * linear_to_srgb(linear) + noise), 0, 255).astype(np.uint8)
    return Pictures(images, lesion.mask, clear, np.array([shot.cast for shot in shots]), light)


@dataclass(frozen=True, eq=False)
class _Shot:
    """What one exposure adds, drawn from the image's own generator."""

    view: Array  # (4,) centre row and column, and signed lesion radii per half-width along each
    hair: Array  # (hairs, 8) three control points, width and strength
    hair_colour: Array  # (3,) linear RGB
    frame: Array  # (4,) centre row and column, radius, softness
    light: Array  # (3,) gains in linear light
    cast: bool
    texture: list[Array]
    noise: Array  # (S, S, 3)

    @classmethod
    def draw(cls, row: int, size: int, seed: int) -> _Shot:
        generator = numpy_generator(seed, "synthesis", "image", int(row))
        scale = 1.0 / generator.uniform(0.40, 0.64) * generator.choice([-1.0, 1.0], 2)
        view = np.concatenate([generator.uniform(-0.16, 0.16, 2), scale])
        cast = bool(generator.random() < CAST_SHARE)
        light = _CAST_GAINS ** (generator.uniform(0.5, 1.1) if cast else 0.0)
        shade = generator.uniform(0.6, 1.6)
        return cls(
            view=view.astype(np.float32),
            hair=draw_hair(generator),
            hair_colour=(shade * np.array([0.030, 0.018, 0.012])).astype(np.float32),
            frame=draw_frame(generator),
            light=light.astype(np.float32),
            cast=cast,
            texture=draw_texture(generator),
            noise=generator.standard_normal((size, size, 3), dtype=np.float32) * np.float32(1.6),
        )


def _lesion_numbers(lesion: int, seed: int) -> Array:
    generator = numpy_generator(seed, "synthesis", "lesion", int(lesion))
    return generator.standard_normal(draws_per_lesion(), dtype=np.float32)
