"""Dominance with violations: a hand-computed case, properties, and a double loop."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mindgap.metrics.pareto import non_dominated
from mindgap.tune.dominance import Judged, dominates, domination, judged, nondominated

FEW = st.integers(0, 3).map(float)


def points(count: int = 8) -> st.SearchStrategy[Judged]:
    return st.builds(Judged, arrays(np.float64, (count, 3), elements=FEW), arrays(np.float64, count, elements=FEW))


def test_hand_computed() -> None:
    told = judged(np.array([[1, 2], [2, 1], [2, 2], [0, 0], [np.nan, 0], [1, 2]]), np.array([0, 0, 0, 0.5, 0, 0]),
                  population=6)  # fmt: skip
    assert nondominated(told).tolist() == [True, True, False, False, False, False]
    assert domination(told)[:4, :4].astype(int).tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_a_point_that_is_not_finite_is_the_worst_of_all_and_a_negative_violation_is_none() -> None:
    told = judged(np.array([[1, 2], [-np.inf, 0], [0, 0], [0, 0]]), np.array([-3, 0, np.nan, np.inf]), population=4)
    assert told.candidates.tolist() == [True, False, False, False]
    assert told.violations.tolist() == [0, np.inf, np.inf, np.inf]
    assert domination(told).any(axis=0).tolist() == [False, True, True, True]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(points(), points())
def test_row_by_row_equals_a_double_loop(first: Judged, second: Judged) -> None:
    expected = []
    for a, b, u, v in zip(first.objectives, second.objectives, first.violations, second.violations, strict=True):
        pareto = all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))
        expected.append(u < v or (u == v and pareto))
    assert dominates(first, second).tolist() == expected


@settings(deadline=None, derandomize=True, max_examples=60)
@given(points())
def test_the_matrix_equals_row_by_row_and_no_two_dominate_each_other(found: Judged) -> None:
    matrix = domination(found)
    for i in range(len(found)):
        np.testing.assert_array_equal(matrix[i], dominates(found[np.full(len(found), i)], found))
    assert not (matrix & matrix.T).any()


@settings(deadline=None, derandomize=True, max_examples=60)
@given(arrays(np.float64, (8, 2), elements=FEW))
def test_without_violations_it_is_the_front_with_equal_points_once(objectives: np.ndarray) -> None:
    kept = nondominated(judged(objectives, None, population=8))
    front = np.unique(objectives[non_dominated(objectives, maximize=(False, False))], axis=0)
    np.testing.assert_array_equal(np.unique(objectives[kept], axis=0), front)
    assert kept.sum() == len(front)
