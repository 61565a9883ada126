"""Gains from what is white in an image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mindgap.tone.lab import bytes_of, encoded, lab_of, linear_of, rgb_of
from mindgap.tone.measure import measure_tone
from mindgap.tone.neutral import NeutralGains, neutral_gains, pooled_gains
from mindgap.tone.normalize import shift_skin
from mindgap.tone.shift import Shift
from mindgap.tone.skin import find_skin

SIZE = 48
CAST = (1.05, 1.0, 1.3)


def pictures(*, white: bool = True) -> torch.Tensor:
    """Skin of L* 58, a* 12, b* 18 with a strip of grey card of L* 82, or none."""
    lab = torch.empty((1, 3, SIZE, SIZE))
    lab[:] = torch.tensor([58.0, 12.0, 18.0])[:, None, None]
    lab[:, 0] += torch.linspace(-2, 2, SIZE)
    if white:
        lab[:, :, :6] = torch.tensor([82.0, 0.0, 0.0])[:, None, None]
    return bytes_of(rgb_of(lab))


def under(images: torch.Tensor, gains: tuple[float, float, float]) -> torch.Tensor:
    return bytes_of(encoded(linear_of(images) * torch.tensor(gains)[:, None, None]))


def nothing(images: torch.Tensor) -> torch.Tensor:
    return torch.zeros((len(images), SIZE, SIZE), dtype=torch.bool)


def found_in(images: torch.Tensor) -> NeutralGains:
    return neutral_gains(images, nothing(images), find_skin(images, nothing(images)))


def test_a_grey_card_takes_the_cast_off():
    plain, cast = pictures(), under(pictures(), CAST)
    found = found_in(cast)
    assert found.known.all()
    assert found.gains[0] * CAST == pytest.approx(np.full(3, (found.gains[0] * CAST)[0]), rel=0.02)
    true = measure_tone(plain, nothing(plain)).ita_degrees[0]
    seen = measure_tone(cast, nothing(cast)).ita_degrees[0]
    mended = measure_tone(cast, nothing(cast), gains=torch.from_numpy(found.gains)).ita_degrees[0]
    assert abs(seen - true) > 10
    assert abs(mended - true) < 2


def test_white_light_is_left_as_it_is():
    assert found_in(pictures()).gains[0] == pytest.approx(np.ones(3), abs=0.01)


def test_skin_alone_says_nothing_of_the_light():
    found = found_in(under(pictures(white=False), CAST))
    assert not found.known.any()
    assert (found.gains == 1).all()


def test_skin_that_is_lit_better_on_one_side_is_not_white():
    lab = torch.empty((1, 3, SIZE, SIZE))
    lab[:] = torch.tensor([0.0, 12.0, 18.0])[:, None, None]
    lab[:, 0] = torch.linspace(58, 76, SIZE)[:, None]
    found = found_in(bytes_of(rgb_of(lab)))
    assert not found.known.any()
    assert (found.gains == 1).all()


def test_a_coloured_cloth_is_not_taken_for_white():
    lab = torch.empty((1, 3, SIZE, SIZE))
    lab[:] = torch.tensor([60.0, 14.0, 20.0])[:, None, None]
    lab[:, :, :, :11] = torch.tensor([78.0, -35.0, 20.0])[:, None, None]
    assert not found_in(bytes_of(rgb_of(lab))).known.any()


def test_a_grey_picture_stays_grey_under_gains():
    images = torch.full((1, 3, SIZE, SIZE), 170, dtype=torch.uint8)
    found = measure_tone(images, nothing(images), gains=torch.tensor([[1.1, 1.0, 0.8]]))
    assert found.flags == (("grey",),)
    assert np.isnan(found.ita_degrees).all()


def test_what_is_cut_off_at_white_is_no_anchor():
    images = pictures()
    images[:, :, :6] = 255
    assert not found_in(images).known.any()


def test_a_card_inside_the_lesion_is_none():
    images = pictures()
    lesions = nothing(images)
    lesions[:, :8] = True
    assert not neutral_gains(images, lesions, find_skin(images, lesions)).known.any()


def test_a_source_has_the_median_of_its_images():
    gains = np.array([[1, 1, 1.0], [1, 1, 2], [1, 1, 4], [1, 1, 8], [3, 3, 3], [1, 2, 3]])
    known = np.array([False, True, True, True, True, True])
    found = pooled_gains(NeutralGains(gains, known), ["a", "a", "a", "a", "b", None])
    assert found.known.tolist() == [True] * 4 + [False] * 2
    assert found.gains[0] == pytest.approx([1, 1, 4])
    assert (found.gains[:4] == found.gains[0]).all()
    assert (found.gains[4:] == 1).all(), "one image is too few, and no name is no source"


def test_a_twin_stays_under_the_images_own_light():
    cast = under(pictures(), CAST)
    lesions = nothing(cast)
    lesions[:, 20:30, 20:30] = True
    gains = torch.from_numpy(neutral_gains(cast, lesions, find_skin(cast, lesions)).gains)
    finding = find_skin(cast, lesions, gains=gains)
    nowhere = Shift(np.zeros(1), np.zeros(1), np.ones(1, dtype=bool))
    darker = Shift(np.array([-15.0]), np.array([4.0]), np.ones(1, dtype=bool))
    same = shift_skin(cast, lesions=lesions, others=finding.others, shift=nowhere, gains=gains)
    assert (same.int() - cast.int()).abs()[:, :, 35:].max() <= 1
    twin = shift_skin(cast, lesions=lesions, others=finding.others, shift=darker, gains=gains)
    assert torch.equal(twin[:, :, 20:30, 20:30], cast[:, :, 20:30, 20:30])
    moved = lab_of(twin, gains=gains) - lab_of(cast, gains=gains)
    assert moved[0, :, 35:].mean(dim=(1, 2)).numpy() == pytest.approx([-15, 0, 4], abs=0.5)
