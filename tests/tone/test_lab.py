"""CIELAB against scikit-image."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab

from mindgap.core.errors import ShapeError
from mindgap.tone.lab import bytes_of, bytes_of_lab, encoded, lab_of, linear_of, rgb_of


def colours(red: range) -> torch.Tensor:
    """All colours of these reds, uint8 (len, 3, 256, 256)."""
    axes = torch.meshgrid(torch.tensor(list(red)), torch.arange(256), torch.arange(256), indexing="ij")
    return torch.stack(axes, dim=1).to(torch.uint8)


def farthest(images: torch.Tensor) -> float:
    expected = rgb2lab(images.permute(0, 2, 3, 1).numpy())
    return float(np.abs(lab_of(images).permute(0, 2, 3, 1).double().numpy() - expected).max())


@pytest.mark.parametrize("red", [0, 1, 10, 11, 100, 191, 254, 255])
def test_lab_is_scikit_images_for_every_green_and_blue(red):
    assert farthest(colours(range(red, red + 1))) < 1e-3


@pytest.mark.slow
def test_lab_is_scikit_images_for_every_colour():
    assert max(farthest(colours(range(red, red + 16))) for red in range(0, 256, 16)) < 1e-3


def test_floating_images_are_those_of_their_bytes():
    images = torch.randint(0, 256, (2, 3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(lab_of(images.double() / 255), lab_of(images).double(), atol=1e-3)
    assert lab_of(images.double() / 255).dtype == torch.float64


def test_black_grey_and_white_have_no_colour():
    grey = torch.tensor([0, 119, 255], dtype=torch.uint8)[:, None, None, None].expand(3, 3, 2, 2)
    lightness, a, b = lab_of(grey).unbind(1)
    assert lightness[:, 0, 0].tolist() == pytest.approx([0, 50.03, 100], abs=0.01)
    assert float(torch.maximum(a.abs(), b.abs()).max()) < 0.02  # the white point has five digits


@pytest.mark.parametrize("red", [0, 90, 200, 255])
def test_there_and_back_gives_the_same_bytes(red):
    images = colours(range(red, red + 1))
    assert torch.equal(bytes_of(rgb_of(lab_of(images))), images)
    assert torch.equal(bytes_of_lab(lab_of(images)), images)


def test_the_table_rounds_as_the_formula_does():
    lab = torch.rand((4, 3, 100, 100), generator=torch.Generator().manual_seed(2))
    lab = lab * torch.tensor([100.0, 120, 120])[:, None, None] - torch.tensor([0.0, 60, 60])[:, None, None]
    off = bytes_of_lab(lab).int() - bytes_of(rgb_of(lab)).int()
    assert int(off.abs().max()) <= 1
    assert float((off != 0).float().mean()) < 0.005


def test_back_from_lab_is_scikit_images_also_where_it_is_cut_off():
    lab = torch.rand((4, 3, 20, 20), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    lab = lab * torch.tensor([100.0, 200, 200])[:, None, None] - torch.tensor([0.0, 100, 100])[:, None, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of colours that there are not
        expected = lab2rgb(lab.permute(0, 2, 3, 1).numpy())
    assert np.abs(rgb_of(lab).permute(0, 2, 3, 1).numpy() - expected).max() < 1e-3


def test_light_and_its_encoding_are_inverse():
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(bytes_of(encoded(linear_of(levels))), levels)
    assert encoded(torch.tensor([-1.0, 2.0])).tolist() == pytest.approx([0, 1])


@pytest.mark.parametrize("shape", [(3, 4), (2, 1, 4, 4), (4, 4, 3)])
def test_images_without_three_channels_are_refused(shape):
    with pytest.raises(ShapeError, match=r"images must be \(…, 3, H, W\)"):
        lab_of(torch.zeros(shape))
    with pytest.raises(ShapeError):
        rgb_of(torch.zeros(shape))
