from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.filters import threshold_otsu

from mindgap.tone.classical_mask import classical_masks, otsu_threshold
from mindgap.tone.lab import bytes_of, rgb_of

SIZE = 64


def picture(*, lesion=(35.0, 18.0, 14.0), skin=(70.0, 12.0, 18.0), radius=14, noise=2.0, size=SIZE, centre=(0.5, 0.5)):
    """uint8 (1, 3, size, size) and the mask, bool (size, size), of a round lesion on skin."""
    rows, columns = np.mgrid[:size, :size]
    mask = np.hypot(rows - centre[0] * size, columns - centre[1] * size) < radius
    lab = np.where(mask[..., None], lesion, skin) + np.random.default_rng(0).normal(0, noise, (size, size, 3))
    return bytes_of(rgb_of(torch.from_numpy(lab).permute(2, 0, 1)[None])), mask


def jaccard(found: torch.Tensor, truth: np.ndarray) -> float:
    return float((found.numpy() & truth).sum() / (found.numpy() | truth).sum())


@pytest.mark.parametrize("skin", [(75.0, 10.0, 16.0), (35.0, 12.0, 18.0), (60.0, 12.0, -12.0)])
def test_a_lesion_on_any_skin_and_under_any_cast_is_found(skin):
    dark = (max(10.0, skin[0] - 25), skin[1] + 4, skin[2])
    images, truth = picture(lesion=dark, skin=skin)
    found = classical_masks(images)
    assert jaccard(found.masks[0], truth) > 0.93
    assert found.flags == ((),)


def test_hair_is_no_lesion():
    images, truth = picture()
    for column in (6, 25, 40, 58):
        images[:, :, :, column] = 25
    assert jaccard(classical_masks(images).masks[0], truth) > 0.85


def test_the_frame_is_neither_skin_nor_lesion():
    images, truth = picture()
    rows, columns = np.mgrid[:SIZE, :SIZE]
    images[:, :, torch.from_numpy(np.hypot(rows - 32, columns - 32) > 33)] = 0
    assert jaccard(classical_masks(images).masks[0], truth) > 0.9


@pytest.mark.parametrize("radius", [30, 26, 20])
def test_a_frame_over_the_whole_border_leaves_the_skin_inside_it_to_compare_with(radius):
    images, truth = picture(radius=8, size=SIZE)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    images[:, :, torch.from_numpy(np.hypot(rows - 32, columns - 32) > radius)] = 0
    assert jaccard(classical_masks(images).masks[0], truth) > 0.8


def test_where_nothing_is_seen_there_is_no_lesion():
    found = classical_masks(torch.zeros((2, 3, SIZE, SIZE), dtype=torch.uint8))
    assert not found.masks.any()
    assert found.flags == (("no_lesion",), ("no_lesion",))


def test_many_regions_are_flagged():
    images, _ = picture(radius=8)
    for centre in ((0.2, 0.2), (0.8, 0.3), (0.25, 0.8)):
        spot, where = picture(radius=7, centre=centre)
        images[:, :, torch.from_numpy(where)] = spot[:, :, torch.from_numpy(where)]
    assert classical_masks(images).flags == (("many_parts",),)


def test_only_the_largest_region_stays_and_its_holes_are_filled():
    images, truth = picture()
    small, where = picture(radius=4, centre=(0.15, 0.8))
    images[:, :, torch.from_numpy(where)] = small[:, :, torch.from_numpy(where)]
    pale, hole = picture(lesion=(70.0, 12.0, 18.0), radius=3)
    images[:, :, torch.from_numpy(hole)] = pale[:, :, torch.from_numpy(hole)]
    found = classical_masks(images).masks[0]
    assert not found[where].any()
    assert jaccard(found, truth) > 0.9


@pytest.mark.parametrize("size", [1, 8])
def test_tiny_and_even_images_are_flagged_and_empty(size):
    images = torch.full((2, 3, size, size), 180, dtype=torch.uint8)
    found = classical_masks(images)
    assert not found.masks.any()
    assert found.flags == (("no_lesion",), ("no_lesion",))
    assert classical_masks(images[:0]).flags == ()


def test_a_batch_is_masked_as_each_alone():
    images = torch.cat([picture(radius=r)[0] for r in (6, 12, 20)])
    together = classical_masks(images).masks
    assert torch.equal(together, torch.cat([classical_masks(images[i : i + 1]).masks for i in range(3)]))


def test_the_threshold_is_scikit_images():
    generator = np.random.default_rng(1)
    maps = np.concatenate([generator.normal(2, 1, (4, 900)), generator.normal(8, 2, (4, 300))], axis=1).reshape(
        4, 30, 40
    )
    found = otsu_threshold(torch.from_numpy(maps)).numpy()
    for i in range(4):
        bin_width = np.ptp(maps[i]) / 128
        assert found[i] == pytest.approx(threshold_otsu(maps[i], nbins=128), abs=bin_width)
