from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mindgap.core.errors import ShapeError
from mindgap.metrics.pareto import non_dominated, non_dominated_rank


def test_a_hand_computed_front_of_accuracy_and_gap():
    points = [(0.9, 0.3), (0.8, 0.1), (0.8, 0.2), (0.7, 0.4)]
    assert non_dominated(points, (True, False)).tolist() == [True, True, False, False]
    assert non_dominated_rank(points, (True, False)).tolist() == [0, 0, 1, 2]


def test_equal_points_stand_together_and_nan_is_never_on_the_front():
    points = [(1.0, 1.0), (1.0, 1.0), (np.nan, 0.0)]
    assert non_dominated(points, (False, False)).tolist() == [True, True, False]
    assert non_dominated_rank(points, (False, False)).tolist() == [0, 0, -1]


def test_no_points_give_an_empty_front():
    assert non_dominated(np.empty((0, 2)), (True, True)).shape == (0,)


def test_a_missing_direction_is_refused():
    with pytest.raises(ShapeError, match=r"points must be \(n, 1\)"):
        non_dominated([(1.0, 2.0)], (True,))


@settings(deadline=None, derandomize=True)
@given(arrays(np.float64, st.tuples(st.integers(1, 25), st.just(3)), elements=st.integers(0, 4).map(float)))
def test_the_front_is_what_the_definition_says(points):
    maximize = (True, False, True)
    signed = points * np.where(maximize, 1, -1)
    expected = [not any((q >= p).all() and (q > p).any() for q in signed) for p in signed]
    assert non_dominated(points, maximize).tolist() == expected


@settings(deadline=None, derandomize=True)
@given(arrays(np.float64, st.tuples(st.integers(1, 25), st.just(2)), elements=st.integers(0, 4).map(float)))
def test_every_ranked_point_is_dominated_by_one_of_the_rank_before(points):
    ranks = non_dominated_rank(points, (False, False))
    for point, rank in zip(points, ranks, strict=True):
        before = points[ranks == rank - 1]
        assert rank == 0 or any((q <= point).all() and (q < point).any() for q in before)
