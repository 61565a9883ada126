"""Augmentation and normalisation of whole batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.core.config import parse
from mindgap.core.errors import ConfigError, ShapeError
from mindgap.data.augment import Augment, AugmentSettings, draw, normalize

MEAN, STD = (0.7, 0.5, 0.4), (0.2, 0.1, 0.3)
AS_IS = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255, 1 / 255, 1 / 255)}  # the result is the pixel's value


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def only(**chosen) -> Augment:
    return Augment(AugmentSettings.none().model_copy(update=chosen))


def pictures(batch: int = 6, side: int = 8) -> torch.Tensor:
    return torch.randint(0, 256, (batch, side, side, 3), generator=generator(9), dtype=torch.uint8)


def numbered(side: int, batch: int) -> torch.Tensor:
    """Images whose pixel (i, j) holds i in red and j in green, so that a result tells where it came from."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    image = torch.stack([rows, columns, torch.zeros_like(rows)], dim=2).to(torch.uint8)
    return image.expand(batch, -1, -1, -1).contiguous()


def values(augment: Augment, images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """(B, S, S, 3) pixel values after augmentation, unnormalised."""
    return augment(images, generator=generator(seed), **AS_IS).permute(0, 2, 3, 1)


def test_normalize_subtracts_the_mean_and_divides_by_the_deviation():
    image = torch.tensor([[[[255, 0, 51]]]], dtype=torch.uint8)
    result = normalize(image, mean=MEAN, std=STD)
    assert result.flatten().tolist() == pytest.approx([(1 - 0.7) / 0.2, -0.5 / 0.1, (0.2 - 0.4) / 0.3], abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_results_are_channels_last_of_the_asked_dtype(dtype):
    for result in (
        normalize(pictures(), mean=MEAN, std=STD, dtype=dtype),
        Augment(AugmentSettings())(pictures(), generator=generator(), mean=MEAN, std=STD, dtype=dtype),
    ):
        assert result.shape == (6, 3, 8, 8)
        assert result.dtype == dtype
        assert result.is_contiguous(memory_format=torch.channels_last)


def test_zero_strength_is_plain_normalisation():
    result = only()(pictures(), generator=generator(), mean=MEAN, std=STD)
    assert torch.allclose(result, normalize(pictures(), mean=MEAN, std=STD), atol=1e-5)


def test_a_pixel_map_of_zero_strength_is_the_identity_at_any_side():
    for side in (1, 2, 7, 64, 97, 224):
        images = numbered(min(side, 255), batch=2)
        assert torch.equal(only().move(images, torch.rand(2, 6, generator=generator())), images)


def test_flips_and_right_angles_give_each_of_the_eight_symmetries():
    images = pictures(batch=1).expand(400, -1, -1, -1).contiguous()
    found = values(only(flips="both", right_angles=True), images).numpy()
    square = images[0].numpy()
    symmetries = [np.rot90(mirrored, turns) for mirrored in (square, square[::-1]) for turns in range(4)]
    tally = [sum(np.array_equal(image, symmetry) for image in found) for symmetry in symmetries]
    assert sum(tally) == 400
    assert min(tally) > 25  # 50 expected


def test_turns_without_flips_are_rotations_only():
    images = pictures(batch=1).expand(200, -1, -1, -1).contiguous()
    square = images[0].numpy()
    rotations = [np.rot90(square, turns) for turns in range(4)]
    tally = [
        sum(np.array_equal(image, rotation) for image in values(only(right_angles=True), images).numpy())
        for rotation in rotations
    ]
    assert sum(tally) == 200
    assert min(tally) > 25  # 50 expected


def test_horizontal_flips_mirror_half_of_the_images_left_to_right():
    images = pictures(batch=1).expand(200, -1, -1, -1).contiguous()
    found = values(only(flips="horizontal"), images)
    kept = (found == images).all(dim=(1, 2, 3))
    mirrored = (found == images.flip(2)).all(dim=(1, 2, 3))
    assert bool((kept ^ mirrored).all())
    assert 70 < int(mirrored.sum()) < 130


def test_a_shift_moves_the_whole_image_and_mirrors_at_the_border():
    images = numbered(20, batch=300)
    found = values(only(shift=0.1), images)
    rows = found[:, :, 10, 0]
    moved = rows[:, 10] - 10
    assert moved.abs().max() == 2  # a tenth of 20 px
    assert set(moved.tolist()) == {-2.0, -1.0, 0.0, 1.0, 2.0}
    down = rows[moved == -2][0]
    assert down.tolist()[:5] == [1, 0, 0, 1, 2]


def test_a_zoom_keeps_the_centre_and_stays_within_its_range():
    images = numbered(101, batch=300)
    found = values(only(scale=0.25), images)
    assert bool((found[:, 50, 50, :2] == 50).all())
    width = found[:, 50, 80, 1] - found[:, 50, 20, 1]
    assert 60 / 1.25 - 2 <= width.min() < 60 / 1.2
    assert 60 * 1.2 < width.max() <= 60 * 1.25 + 2
    assert abs(float((width > 60).float().mean()) - 0.5) < 0.1


def test_brightness_adds_one_value_per_image_within_its_range():
    images = torch.full((500, 2, 2, 3), 100, dtype=torch.uint8)
    added = values(only(brightness=0.2), images) - 100
    assert bool((added == added[:, :1, :1, :1]).all())
    assert -51 <= added.min() < -46
    assert 46 < added.max() <= 51


def test_contrast_scales_about_the_mean_colour():
    images = torch.tensor([51, 102, 204], dtype=torch.uint8).expand(300, 2, 2, 3).contiguous()
    result = only(contrast=0.3)(images, generator=generator(), mean=(0.2, 0.2, 0.2), std=(1, 1, 1))[:, :, 0, 0]
    assert result[:, 0].abs().max() < 1e-6
    factors = result[:, 1] / 0.2
    assert 0.7 <= factors.min() < 0.72
    assert 1.28 < factors.max() <= 1.3
    assert torch.allclose(result[:, 2], 0.6 * factors, atol=1e-5)


def test_colour_scales_the_channels_apart():
    images = torch.full((300, 2, 2, 3), 100, dtype=torch.uint8)
    gains = values(only(colour=0.1), images)[:, 0, 0] / 100
    assert 0.9 <= gains.min() < 0.91
    assert 1.09 < gains.max() <= 1.1
    assert np.abs(np.corrcoef(gains.T.numpy()) - np.eye(3)).max() < 0.2


def test_every_image_has_its_own_draw():
    images = pictures(batch=1, side=16).expand(32, -1, -1, -1).contiguous()
    found = values(Augment(AugmentSettings()), images).flatten(1)
    assert len({tuple(row) for row in found.tolist()}) == 32


def test_an_image_does_not_depend_on_its_neighbours_in_the_batch():
    images = pictures()
    alone = images.clone()
    alone[1:] = 0
    augment = Augment(AugmentSettings())
    assert torch.equal(values(augment, images)[0], values(augment, alone)[0])


def test_one_draw_for_an_epoch_is_the_draws_of_its_batches():
    source = generator()
    batches = torch.cat([draw(5, generator=source) for _ in range(4)])
    assert torch.equal(draw(20, generator=generator()), batches)


def test_the_generator_alone_decides():
    augment = Augment(AugmentSettings())
    assert torch.equal(values(augment, pictures(), seed=1), values(augment, pictures(), seed=1))
    assert not torch.equal(values(augment, pictures(), seed=1), values(augment, pictures(), seed=2))


def test_the_input_is_left_as_it_was():
    images = pictures()
    before = images.clone()
    Augment(AugmentSettings())(images, generator=generator(), mean=MEAN, std=STD)
    normalize(images, mean=MEAN, std=STD)
    assert torch.equal(images, before)


def test_mean_and_deviation_may_be_tensors():
    by_tensor = normalize(pictures(), mean=torch.tensor(MEAN), std=torch.tensor(STD))
    assert torch.equal(by_tensor, normalize(pictures(), mean=MEAN, std=STD))


@pytest.mark.parametrize("shape", [(2, 8, 9, 3), (2, 3, 8, 8), (8, 8, 3)])
def test_images_that_are_not_square_rgb_batches_are_refused(shape):
    with pytest.raises(ShapeError, match=r"uint8 \(B, S, S, 3\)"):
        Augment(AugmentSettings())(torch.zeros(shape, dtype=torch.uint8), generator=generator(), mean=MEAN, std=STD)


def test_float_images_are_refused():
    with pytest.raises(ShapeError, match=r"got torch\.float32"):
        normalize(torch.zeros(2, 8, 8, 3), mean=MEAN, std=STD)


def test_strengths_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"shift is 0\.9"):
        parse(AugmentSettings, {"shift": 0.9})


@given(strength=st.floats(0, 100), upright=st.booleans())
@settings(max_examples=50, deadline=None, derandomize=True)
def test_any_strength_gives_valid_settings_with_the_same_turns(strength, upright):
    own = AugmentSettings.for_images(upright=upright)
    scaled = AugmentSettings.model_validate(own.scaled(strength).model_dump())
    if strength > 0:
        assert (scaled.flips, scaled.right_angles) == (own.flips, own.right_angles)
    assert scaled.shift == pytest.approx(min(0.06 * strength, 0.5))


def test_strength_one_is_the_same_and_none_changes_nothing():
    assert AugmentSettings().scaled(1) == AugmentSettings()
    assert AugmentSettings().scaled(0) == AugmentSettings.none()
    assert AugmentSettings().scaled(2).colour == pytest.approx(0.1)
