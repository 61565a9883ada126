"""Smooth fields and blobs."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.data.synthesis.fields import blobs, sigmoid, smooth_field, step

PLACES = np.linspace(0, 1, 33, dtype=np.float32)[None]


def test_a_constant_grid_is_a_constant_field():
    field = smooth_field(np.ones((1, 7, 7), dtype=np.float32), PLACES, PLACES)
    assert field == pytest.approx(np.full((1, 33, 33), 315 / 151), rel=1e-5)


def test_a_random_field_has_about_unit_variance():
    values = np.random.default_rng(0).standard_normal((400, 9, 9), dtype=np.float32)
    places = PLACES.repeat(400, axis=0)
    assert smooth_field(values, places, places).std() == pytest.approx(1.0, abs=0.05)


def test_positions_beyond_the_grid_take_the_border_value():
    values = np.random.default_rng(0).standard_normal((1, 6, 6), dtype=np.float32)
    rows = np.array([[-2.0, 0.0, 1.0, 5.0]], dtype=np.float32)
    field = smooth_field(values, rows, PLACES)
    assert np.array_equal(field[0, 0], field[0, 1])
    assert np.array_equal(field[0, 2], field[0, 3])


def test_a_field_is_twice_as_fine_at_twice_the_size_and_else_the_same():
    values = np.random.default_rng(0).standard_normal((1, 6, 6), dtype=np.float32)
    fine = np.linspace(0, 1, 65, dtype=np.float32)[None]
    assert smooth_field(values, fine, fine)[:, ::2, ::2] == pytest.approx(
        smooth_field(values, PLACES, PLACES), abs=1e-5
    )


def test_blobs_are_a_sum_of_gaussians():
    rows, columns = np.array([[0.0, 0.3]]), np.array([[0.1, 0.5, 0.9]])
    centres = np.array([[[0.0, 0.1], [0.3, 0.9]]])
    widths, heights = np.array([[0.2, 0.1]]), np.array([[2.0, -1.0]])
    expected = np.zeros((2, 3))
    for i, row in enumerate(rows[0]):
        for j, column in enumerate(columns[0]):
            for (y, x), width, height in zip(centres[0], widths[0], heights[0], strict=True):
                expected[i, j] += height * np.exp(-((row - y) ** 2 + (column - x) ** 2) / (2 * width**2))
    assert blobs(rows, columns, centres=centres, widths=widths, heights=heights)[0] == pytest.approx(expected)


def test_steps_do_not_overflow():
    with np.errstate(all="raise"):
        assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]
    assert step(np.array([0.7]), at=0.7, width=0.1).tolist() == pytest.approx([0.5], abs=1e-6)
