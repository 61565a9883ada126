"""Window filters against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from mindgap.tone.windows import blurred, dilated, filled


@pytest.fixture(scope="module")
def maps() -> torch.Tensor:
    return torch.rand((2, 2, 20, 31), generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.5, 2.5])
def test_blur_is_scipys(maps, sigma):
    how = {"mode": "nearest", "radius": int(np.ceil(3 * sigma)), "axes": (2, 3)}
    assert np.allclose(blurred(maps, sigma=sigma).numpy(), ndimage.gaussian_filter(maps.numpy(), sigma, **how))


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 5, 40])
def test_growth_is_scipys(maps, radius):
    masks = maps[:, 0] > 0.97
    expected = [ndimage.binary_dilation(mask, np.ones((2 * radius + 1,) * 2)) for mask in masks.numpy()]
    assert np.array_equal(dilated(masks, radius).numpy(), expected)


@pytest.mark.parametrize("radius", [1, 2, 4])
def test_closing_is_scipys(maps, radius):
    levels = (255 * maps[:, 0]).to(torch.uint8)
    window = (2 * radius + 1,) * 2
    expected = [
        ndimage.minimum_filter(ndimage.maximum_filter(level, window, mode="nearest"), window, mode="nearest")
        for level in levels.numpy()
    ]
    assert np.array_equal(filled(levels, radius).numpy(), expected)


@pytest.mark.parametrize("size", [1, 2])
def test_images_smaller_than_the_window(size):
    one = torch.full((1, size, size), 7, dtype=torch.uint8)
    assert torch.equal(filled(one, 3), one)
    assert torch.allclose(blurred(one[None].double(), sigma=2.0), one[None].double())
