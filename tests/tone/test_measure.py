from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mindgap.core.errors import ConfigError, ShapeError
from mindgap.tone.bands import CUT_OFFS, bands_of
from mindgap.tone.flags import TONE_FLAGS
from mindgap.tone.lab import bytes_of, lab_of, rgb_of
from mindgap.tone.measure import measure_tone
from mindgap.tone.quantiles import masked_quantiles
from mindgap.tone.skin import find_skin

SIZE = 64


def image(lightness=70.0, a=12.0, b=18.0, *, size=SIZE) -> torch.Tensor:
    """uint8 (1, 3, size, size) of one colour."""
    lab = torch.tensor([lightness, a, b], dtype=torch.float64)[None, :, None, None].expand(1, 3, size, size)
    return bytes_of(rgb_of(lab.clone()))


def no_lesion(images: torch.Tensor) -> torch.Tensor:
    return torch.zeros((len(images), *images.shape[2:]), dtype=torch.bool)


def measure(images, lesions=None, **options):
    return measure_tone(images, no_lesion(images) if lesions is None else lesions, **options)


@pytest.mark.parametrize(
    ("lightness", "b", "degrees"),
    [(70, 20, 45.0), (70, 11.547, 60.0), (50, 20, 0.0), (40, 17.32, -30.0), (35, 15, -45.0)],
)
def test_even_skin_has_the_angle_of_its_colour(lightness, b, degrees):
    """Atan(20/20), atan(20/11.547), 0, atan(−10/17.32), atan(−15/15); to the rounding of bytes."""
    found = measure(image(lightness, 12, b))
    assert found.ita_degrees[0] == pytest.approx(degrees, abs=1.5)
    assert found.ita_pixels[0] == SIZE**2
    assert found.ita_iqr_degrees[0] == pytest.approx(0)
    assert (found.lightness[0], found.yellowness[0]) == pytest.approx((lightness, b), abs=0.6)
    assert found.flags == ((),)


def test_the_eight_bit_definition_is_another_angle():
    """Atan((2.55·70 − 50)/(20 + 128)) = 41.0°, where CIELAB's is 45°."""
    expected = math.degrees(math.atan((2.55 * 70 - 50) / 148))
    assert measure(image(70, 12, 20), definition="lab8").ita_degrees[0] == pytest.approx(expected, abs=0.5)


def test_the_lesion_and_its_edge_do_not_count():
    images = image(70, 12, 20)
    lesions = no_lesion(images)
    lesions[:, 20:40, 20:40] = True
    images[:, :, 18:42, 18:42] = image(30, 20, 10)[:, :, 18:42, 18:42]  # its pigment runs two pixels over the mask
    found = measure(images, lesions)
    assert found.ita_degrees[0] == pytest.approx(45, abs=1.5)
    assert found.ita_pixels[0] <= SIZE**2 - 24**2


def test_hair_frame_ink_and_shine_do_not_count():
    images = image(70, 12, 20)
    images[:, :, :, 10] = 30  # a hair
    images[:, :, 30:31, :] = 60  # a mark of the ruler
    images[:, :, :5] = 0  # the frame
    images[:, :, 50:60, 40:60] = torch.tensor([60, 60, 200], dtype=torch.uint8)[:, None, None]  # ink
    images[:, :, 15:18, 40:60] = 255  # shine
    found = measure(images)
    skin = found.finding.skin[0]
    assert not skin[:5].any()
    assert not skin[:, 10].any()
    assert not skin[30].any()
    assert not skin[50:60, 40:60].any()
    assert not skin[15:18, 40:60].any()
    assert float(skin.float().mean()) > 0.5
    assert found.ita_iqr_degrees[0] == pytest.approx(0)
    assert found.ita_degrees[0] == pytest.approx(45, abs=1.5)
    shares = {kind: float(share[0]) for kind, share in found.finding.shares.items()}
    assert shares["frame"] == pytest.approx(5 / 64 + 58 / 64**2), "and the hair, which runs into it"
    assert shares["ink"] == pytest.approx(200 / 64**2, abs=0.01)
    assert shares["shining"] == pytest.approx(60 / 64**2)


def test_a_cast_is_no_ink():
    """All of it is blue: nothing is far from the image's own skin."""
    found = measure(image(60, 5, -15))
    assert found.finding.shares["ink"][0] == 0
    assert math.isnan(found.ita_degrees[0])
    assert found.flags == (("few_pixels", "cast"),)


def test_a_hue_that_no_skin_has_is_flagged_and_kept():
    found = measure(image(60, 20, 3))
    assert found.flags == (("cast",),)
    assert found.ita_degrees[0] == pytest.approx(math.degrees(math.atan2(10, 3)), abs=4)


def test_very_dark_skin_at_the_border_is_a_frame_unless_it_is_known_to_be_skin():
    dark = image(12.0, 4.0, 8.0)
    assert np.isnan(measure(dark).ita_degrees[0])
    known = measure(dark, skin=torch.ones((1, SIZE, SIZE), dtype=torch.bool))
    assert known.ita_degrees[0] == pytest.approx(math.degrees(math.atan(-38 / 8)), abs=1.5)
    with pytest.raises(ShapeError, match="give one map each"):
        measure(dark, skin=torch.ones((1, 8, 8), dtype=torch.bool))


def test_half_of_odd_pixels_is_the_most_that_is_borne():
    images = torch.cat([image(60, 12, 20), image(60, 12, 20)])
    blue = image(60, 12, -5)
    images[0, :, :, :30] = blue[0, :, :, :30]
    images[1, :, :, :34] = blue[0, :, :, :34]
    found = measure(images)
    assert np.isfinite(found.ita_degrees).tolist() == [True, False]
    assert found.ita_pixels[0] == 34 * 64
    assert "cast" in found.flags[1]


@pytest.mark.parametrize(("value", "flag"), [(0, "clipped"), (255, "saturated")])
def test_black_and_white_images_have_no_tone(value, flag):
    found = measure(torch.full((1, 3, SIZE, SIZE), value, dtype=torch.uint8))
    assert math.isnan(found.ita_degrees[0])
    assert "no_skin" in found.flags[0]
    assert flag in found.flags[0] or found.finding.shares["frame"][0] == 1


@pytest.mark.parametrize("definition", ["cielab", "lab8"])
def test_grey_images_have_no_tone(definition):
    found = measure(torch.full((1, 3, SIZE, SIZE), 150, dtype=torch.uint8), definition=definition)
    assert math.isnan(found.ita_degrees[0])
    assert found.flags == (("grey",),)


def test_skin_with_the_least_colour_is_not_grey():
    """One level of blue less is a b* of 0.6: it has an angle, and a hue that no skin has."""
    images = torch.full((1, 3, SIZE, SIZE), 150, dtype=torch.uint8)
    images[:, 2] -= 1
    found = measure(images)
    assert found.flags == (("cast",),)
    assert math.isfinite(found.ita_degrees[0])


def test_every_flag_has_its_meaning():
    images = torch.cat([image(60, 20, 3), image(60, 5, -15), torch.full((3, 3, SIZE, SIZE), 150, dtype=torch.uint8)])
    images[3:, :, 20:40, 20:40] = torch.tensor([255, 0], dtype=torch.uint8)[:, None, None, None]
    lesions = no_lesion(images)
    lesions[0] = True
    seen = {flag for flags in measure(images, lesions).flags for flag in flags}
    assert seen == {"no_skin", "few_pixels", "cast", "grey", "saturated", "clipped"}
    assert seen < set(TONE_FLAGS)


@pytest.mark.parametrize("size", [1, 8])
def test_tiny_images_are_flagged(size):
    assert measure(image(size=size)).flags == (("few_pixels",),)


def test_where_all_is_lesion_there_is_no_skin():
    found = measure(image(), torch.ones((1, SIZE, SIZE), dtype=torch.bool))
    assert math.isnan(found.ita_degrees[0])
    assert found.flags == (("no_skin",),)
    assert found.ita_pixels.tolist() == [0]


def test_angles_that_span_widely_are_flagged():
    """Half of the skin at 63°, half at −63°: the median is one of the two, and says little."""
    images = torch.cat([image(64, 10, 7), image(64, 10, 7)])
    images[0, :, : SIZE // 2] = image(36, 10, 7)[0, :, : SIZE // 2]
    found = measure(images)
    assert found.ita_iqr_degrees[0] == pytest.approx(2 * math.degrees(math.atan2(14, 7)), abs=4)
    assert "wide" in found.flags[0]
    assert found.flags[1] == ()


def test_a_batch_is_measured_as_each_alone():
    generator = torch.Generator().manual_seed(3)
    lab = lab_of(torch.cat([image(70, 12, 20), image(40, 10, 22), image(60, 5, -15)]))
    images = bytes_of(rgb_of(lab + 4 * torch.randn(lab.shape, generator=generator)))
    lesions = torch.rand(no_lesion(images).shape, generator=generator) < 0.01
    together = measure(images, lesions)
    for i in range(3):
        alone = measure(images[i : i + 1], lesions[i : i + 1])
        assert np.array_equal(alone.ita_degrees, together.ita_degrees[i : i + 1], equal_nan=True)
        assert alone.flags[0] == together.flags[i]
    assert measure(images[:0], lesions[:0]).flags == ()


def test_quantiles_are_numpys():
    generator = torch.Generator().manual_seed(1)
    values, masks = torch.randn((5, 7, 9), generator=generator), torch.rand((5, 7, 9), generator=generator) < 0.4
    masks[3] = False
    found = masked_quantiles(values, masks, [0.0, 0.25, 0.5, 1.0])
    for i in range(5):
        inside = values[i][masks[i]].double().numpy()
        expected = np.quantile(inside, [0, 0.25, 0.5, 1]) if len(inside) else np.full(4, np.nan)
        assert np.allclose(found[i], expected, equal_nan=True)


@pytest.mark.parametrize(
    ("degrees", "band"),
    [(80, "I"), (55.1, "I"), (55, "II"), (41, "III"), (28, "IV"), (10, "V"), (-30, "VI"), (-29.9, "V"), (-89, "VI")],
)
def test_a_cut_off_belongs_to_the_darker_band(degrees, band):
    assert bands_of(np.array([degrees, np.nan])).tolist() == [band, None]


@pytest.mark.parametrize("name", CUT_OFFS)
def test_every_set_of_cut_offs_falls_and_names_each_band_once(name):
    names, edges = zip(*CUT_OFFS[name], strict=True)
    assert sorted(edges, reverse=True) == list(edges)
    assert len(set(names)) == len(names)
    assert bands_of(np.array(edges) + 0.5, name).tolist() == list(names)


def test_unknown_cut_offs_and_unfitting_masks_are_refused():
    with pytest.raises(ConfigError, match=r"no cut-offs 'weh'.*wei"):
        bands_of(np.zeros(1), "weh")
    with pytest.raises(ShapeError, match="give one mask per image"):
        find_skin(image(), torch.zeros((1, 8, 8), dtype=torch.bool))
