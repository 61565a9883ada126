from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymoo.indicators.hv import HV

from mindgap.core.errors import ShapeError
from mindgap.metrics.hypervolume import hypervolume, hypervolume_over_time

MINIMIZE = (False, False, False)
number = st.integers(0, 8).map(lambda value: value / 8)  # of few values, so that points share coordinates


def cloud(objectives, *, most=12):
    return st.lists(st.tuples(*[number] * objectives), max_size=most)


def test_two_boxes_that_overlap_by_hand():
    """Accuracy and gap of (.9, .3) and (.8, .1) down to (.5, .5): .4·.2 + .3·.4 − .3·.2."""
    assert hypervolume([(0.9, 0.3), (0.8, 0.1)], (0.5, 0.5), maximize=(True, False)) == pytest.approx(0.14)


def test_three_boxes_in_space_by_hand():
    """Unit cubes less the boxes of (0, ½, ½), (½, 0, ½): ½·½·1 each with ¼·½ shared, then (½, ½, 0) adds ⅛."""
    points = [(0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)]
    assert hypervolume(points[:2], (1, 1, 1), maximize=MINIMIZE) == pytest.approx(0.25 + 0.25 - 0.125)
    assert hypervolume(points, (1, 1, 1), maximize=MINIMIZE) == pytest.approx(0.5)


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_equals_pymoo(objectives, seed):
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(60, objectives)).round(1)  # with ties, and many beyond the reference
    reference = np.full(objectives, 0.8)
    expected = HV(ref_point=reference)(points)
    found = hypervolume(points, reference, maximize=(False,) * objectives)
    assert found == pytest.approx(expected, rel=1e-9)


@settings(max_examples=60)
@given(st.data(), st.sampled_from([2, 3]))
def test_order_and_dominated_points_do_not_matter(data, objectives):
    points = data.draw(cloud(objectives))
    reference, direction = (0.9,) * objectives, (False,) * objectives
    value = hypervolume(points, reference, maximize=direction)
    shuffled = data.draw(st.permutations(points))
    worse = [tuple(min(1.0, value + 1 / 8) for value in point) for point in points]
    assert hypervolume([*shuffled, *worse, *points], reference, maximize=direction) == pytest.approx(value)


@settings(max_examples=60)
@given(st.data(), st.sampled_from([2, 3]))
def test_over_time_is_the_hypervolume_of_every_beginning(data, objectives):
    points = data.draw(cloud(objectives))
    reference, direction = (0.9,) * objectives, (False,) * objectives
    values = hypervolume_over_time(points, reference, maximize=direction)
    expected = [hypervolume(points[: k + 1], reference, maximize=direction) for k in range(len(points))]
    assert values == pytest.approx(np.array(expected))


@settings(max_examples=60)
@given(cloud(3))
def test_lies_between_the_largest_box_and_their_sum(points):
    boxes = [math.prod(max(0.0, 1 - value) for value in point) for point in points]
    value = hypervolume(points, (1, 1, 1), maximize=MINIMIZE)
    assert max(boxes, default=0.0) - 1e-12 <= value <= sum(boxes) + 1e-12


@settings(max_examples=40)
@given(cloud(3))
def test_maximising_is_minimising_the_negative(points):
    negative = [tuple(-value for value in point) for point in points]
    value = hypervolume(points, (0.9, 0.9, 0.9), maximize=MINIMIZE)
    assert hypervolume(negative, (-0.9, -0.9, -0.9), maximize=(True, True, True)) == pytest.approx(value)


def test_no_points_a_nan_and_points_on_the_reference_add_nothing():
    assert hypervolume([], (1, 1), maximize=(False, False)) == 0
    assert hypervolume([(np.nan, 0), (1, 0), (2, -5)], (1, 1), maximize=(False, False)) == 0
    assert hypervolume_over_time([(np.nan, 0), (0, 0)], (1, 1), maximize=(False, False)).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("points", "reference", "maximize"),
    [
        ([(0, 0, 0, 0)], (1, 1, 1, 1), (False,) * 4),
        ([(0, 0)], (1, 1, 1), MINIMIZE),
        ([(0, 0)], (1, 1), (False,)),
        ([0, 0], (1, 1), (False, False)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(points, reference, maximize):
    with pytest.raises(ShapeError, match="got points of shape"):
        hypervolume(points, reference, maximize=maximize)


def test_a_reference_that_is_not_finite_is_refused():
    with pytest.raises(ShapeError, match="must be finite, got"):
        hypervolume([(0, 0)], (1, math.inf), maximize=(False, False))


def test_five_hundred_points_of_a_front_take_a_moment():
    generator = np.random.default_rng(0)
    points = np.abs(generator.normal(size=(500, 3)))
    points /= np.linalg.norm(points, axis=1, keepdims=True)  # on a sphere: none dominates another
    expected = HV(ref_point=np.full(3, 1.2))(-points + 1.0)
    assert hypervolume(points, (-0.2,) * 3, maximize=(True,) * 3) == pytest.approx(expected, rel=1e-9)
