"""CIELAB inside the image synthesis, against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from mindgap.data.synthesis.colour import ita_degrees, lab_to_linear, linear_to_srgb, srgb_to_lab


def colours() -> np.ndarray:
    return np.random.default_rng(0).random((500, 3))


def test_white_black_and_grey():
    lab = srgb_to_lab(np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]))
    assert lab == pytest.approx(np.array([[100, 0, 0], [0, 0, 0], [53.39, 0, 0]]), abs=0.01)


def test_lab_equals_scikit_image():
    assert np.abs(srgb_to_lab(colours()) - rgb2lab(colours())).max() < 0.01


def test_lab_to_srgb_is_the_way_back():
    lab = srgb_to_lab(colours()).astype(np.float32)
    assert np.abs(linear_to_srgb(lab_to_linear(lab)) - colours()).max() < 1e-3


def test_colours_a_screen_cannot_show_are_clipped():
    assert linear_to_srgb(np.array([-0.2, 1.7])).tolist() == pytest.approx([0.0, 1.0])


def test_typology_angle_by_hand():
    angles = ita_degrees(np.array([60.0, 50.0, 40.0, 70.0]), np.array([10.0, 10.0, 10.0, -20.0]))
    assert angles.tolist() == pytest.approx([45.0, 0.0, -45.0, 135.0])
