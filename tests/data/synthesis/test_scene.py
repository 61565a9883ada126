"""The painted pictures and what is true of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mindgap.data.synthesis.colour import ita_degrees, srgb_to_lab
from mindgap.data.synthesis.morphology import draw_morphology
from mindgap.data.synthesis.population import draw_population
from mindgap.data.synthesis.scene import CAST_SHARE, Pictures, paint

PEOPLE = draw_population(500, dark_share=0.4, seed=0)
ROWS = np.arange(300)


def painted(rows: np.ndarray = ROWS, *, bias: float = 0.0, size: int = 64, seed: int = 0) -> Pictures:
    return paint(rows, PEOPLE, draw_morphology(PEOPLE, bias=bias, seed=seed), size=size, seed=seed)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return painted()


def skin_medians(pictures: Pictures) -> np.ndarray:
    lab = srgb_to_lab(pictures.images / 255.0)
    return np.stack([np.median(image[clear], axis=0) for image, clear in zip(lab, pictures.clear, strict=True)])


def test_the_skin_of_images_without_a_cast_has_the_true_typology_angle(pictures):
    lightness, _, yellowness = skin_medians(pictures).T
    error = np.abs(ita_degrees(lightness, yellowness) - PEOPLE.ita_degrees[ROWS])
    assert error[~pictures.cast].max() < 3
    assert error[~pictures.cast].mean() < 0.6


@pytest.mark.parametrize("size", [32, 150])
def test_the_true_angle_holds_at_other_sizes(size):
    some = painted(ROWS[:60], bias=0.5, size=size, seed=3)
    lightness, _, yellowness = skin_medians(some).T
    error = np.abs(ita_degrees(lightness, yellowness) - PEOPLE.ita_degrees[:60])
    assert error[~some.cast].max() < 3


def test_a_violet_cast_makes_some_skin_bluer_than_neutral(pictures):
    yellowness = skin_medians(pictures)[:, 2]
    assert abs(pictures.cast.mean() - CAST_SHARE) < 0.08
    assert yellowness[~pictures.cast].min() > 5
    assert yellowness[pictures.cast].mean() < yellowness[~pictures.cast].mean() - 8
    assert (yellowness[pictures.cast] < 0).mean() > 0.1


def test_every_image_shows_enough_lesion_and_enough_skin(pictures):
    area = pictures.masks.mean(axis=(1, 2))
    assert area.min() > 0.03
    assert area.max() < 0.75
    assert pictures.clear.mean(axis=(1, 2)).min() > 0.08
    assert not (pictures.masks & pictures.clear).any()


def test_the_mask_is_where_the_lesion_is_darker(pictures):
    lightness = srgb_to_lab(pictures.images / 255.0)[..., 0]
    inner = np.stack([ndimage.binary_erosion(mask, iterations=3) for mask in pictures.masks])
    darker = np.array(
        [
            np.median(light[clear]) - np.median(light[inside])
            for light, clear, inside in zip(lightness, pictures.clear, inner, strict=True)
        ]
    )
    assert (darker[~pictures.cast] > 4).mean() > 0.97
    assert np.median(darker) > 12


def test_a_mask_is_one_piece_but_for_small_islands(pictures):
    for mask in pictures.masks:
        pieces, _ = ndimage.label(mask)
        assert np.bincount(pieces[mask]).max() > 0.85 * mask.sum()


def test_bias_lowers_the_contrast_of_dark_lesions_and_leaves_light_images_untouched(pictures):
    biased = painted(bias=0.6)
    dark = PEOPLE.tone[ROWS] == 1
    assert np.array_equal(biased.images[~dark], pictures.images[~dark])

    def contrast(scene: Pictures) -> float:
        values = scene.images[dark].mean(axis=3)
        lesion = pictures.masks[dark] & scene.masks[dark]
        both = pictures.clear[dark] & scene.clear[dark]
        return float(np.median(values[both]) - np.median(values[lesion]))

    assert contrast(biased) < 0.85 * contrast(pictures)


def test_dark_frames_and_hairs_occur_in_some_images(pictures):
    corners = pictures.images[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean(axis=(1, 2))
    assert 0.3 < (corners < 60).mean() < 0.75
    covered = ~(pictures.clear | pictures.masks)
    centre = covered[:, 16:48, 16:48].mean(axis=(1, 2))
    assert 0.3 < (centre > 0.01).mean() < 0.8


def test_an_image_does_not_depend_on_the_others_painted_with_it(pictures):
    rows = np.array([7, 211, 3])
    alone = painted(rows)
    assert np.array_equal(alone.images, pictures.images[rows])
    assert np.array_equal(alone.masks, pictures.masks[rows])


def test_another_seed_is_another_picture(pictures):
    assert not np.array_equal(painted(ROWS[:1], seed=1).images, pictures.images[:1])


def test_images_of_one_lesion_are_alike_but_not_equal(pictures):
    sizes = np.bincount(PEOPLE.lesion[ROWS])
    pairs = [np.flatnonzero(PEOPLE.lesion[ROWS] == lesion)[:2] for lesion in np.flatnonzero(sizes >= 2)]
    assert len(pairs) > 10
    for one, other in pairs:
        assert not np.array_equal(pictures.images[one], pictures.images[other])
