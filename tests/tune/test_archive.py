"""The archive is never dominated, never over capacity, and thins the crowd."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mindgap.tune.archive import Archive, crowding
from mindgap.tune.dominance import Judged, domination, judged, nondominated


def told(objectives: object, violations: object = None) -> Judged:
    found = np.asarray(objectives, dtype=np.float64)
    return judged(found, None if violations is None else np.asarray(violations), population=len(found))


def filled(objectives: object, *, capacity: int = 100, divisions: int = 10) -> Archive:
    archive = Archive(capacity=capacity, divisions=divisions)
    archive.add(np.asarray(objectives, dtype=np.float64) * 10, told(objectives))
    return archive


ZERO_OR_ONE = st.integers(0, 1).map(float)
VALUES = st.one_of(st.integers(0, 6).map(float), st.floats(0, 1), st.just(np.nan))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.integers(1, 5),
    st.integers(2, 3).flatmap(
        lambda m: st.lists(
            st.tuples(arrays(np.float64, (6, m), elements=VALUES), arrays(np.float64, 6, elements=ZERO_OR_ONE)),
            min_size=1,
            max_size=5,
        )
    ),
)
def test_never_dominated_never_over_capacity_and_only_what_was_told(capacity, rounds) -> None:
    archive = Archive(capacity=capacity, divisions=4)
    every, missed = [], []
    for objectives, violations in rounds:
        positions = len(every) * 6 + np.arange(6.0)[:, None]
        archive.add(positions, told(objectives, violations))
        every.append(objectives)
        missed.append(violations)
        members = archive.judged
        assert len(archive) == len(archive.positions) <= capacity
        assert not domination(members).any()
        assert len(np.unique(members.objectives, axis=0)) == len(members)
        if not np.isfinite(np.concatenate(every)).all(axis=1).any():
            assert len(archive) == 0
            continue
        rows = archive.positions[:, 0].astype(int)
        np.testing.assert_array_equal(np.concatenate(every)[rows], members.objectives)
        np.testing.assert_array_equal(np.concatenate(missed)[rows], members.violations)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(arrays(np.float64, (12, 2), elements=VALUES))
def test_with_room_for_all_it_is_the_front_and_the_best_of_each_objective_stay_without(objectives) -> None:
    front = told(objectives)
    kept = objectives[nondominated(front)]
    roomy = filled(objectives)
    np.testing.assert_array_equal(np.unique(roomy.judged.objectives, axis=0), np.unique(kept, axis=0))
    tight = filled(objectives, capacity=2)
    if len(kept):
        np.testing.assert_array_equal(tight.judged.objectives.min(axis=0), kept.min(axis=0))


def test_the_densest_cell_loses_the_member_that_is_nearest_to_another() -> None:
    # ends (0, 10) and (10, 0); the cell at (4, 5) holds three, of which 4.5 and 4.6 are the nearest pair and 4.5 is
    # nearer to the third; the cell at (7, 2) holds two that lie nearer still, but it is less dense.
    line = [(0, 10), (4.1, 5.9), (4.5, 5.5), (4.6, 5.4), (7.50, 2.50), (7.51, 2.49), (10, 0)]
    assert [x for x, _ in filled(line, capacity=6).judged.objectives] == [0, 4.1, 4.6, 7.5, 7.51, 10]


def test_cells_by_hand() -> None:
    archive = filled([(0, 10), (10, 0)])
    points = np.array([(0, 10), (10, 0), (5, 5), (0.99, 9.99), (-3, 12), (np.inf, np.inf)])
    assert archive.cells(points).tolist() == [[0, 9], [9, 0], [5, 5], [0, 9], [-1, 10], [10, 10]]
    assert filled([(3, 4)]).cells(np.array([(3, 4), (3, 5), (2, 4)])).tolist() == [[0, 0], [0, 10], [-1, 0]]
    assert crowding(archive.cells(points)).tolist() == [2, 1, 1, 2, 1, 1]


def test_a_sparse_cell_leads_more_often_than_a_dense_one() -> None:
    # a cell of 4 is followed a quarter as often as a cell of 1, each of its members a sixteenth as often
    archive = filled([(0, 10), (4.1, 4.9), (4.2, 4.8), (4.3, 4.7), (4.4, 4.6), (10, 0)])
    chosen = np.bincount(archive.leaders(90_000, np.random.default_rng(0)), minlength=6) / 90_000
    np.testing.assert_allclose(chosen, np.array([16, 1, 1, 1, 1, 16]) / 36, atol=0.005)


def test_an_empty_archive_leads_nobody() -> None:
    assert len(Archive(capacity=3, divisions=10).leaders(5, np.random.default_rng(0))) == 0


@pytest.mark.parametrize("objectives", [2, 3])
def test_an_overfull_archive_of_large_positions_takes_milliseconds(objectives: int) -> None:
    generator = np.random.default_rng(0)
    archive = Archive(capacity=100, divisions=10)
    spent = []
    for _ in range(5):
        found = generator.random((100, objectives))
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        positions = generator.random((100, 4098))
        begin = time.process_time()
        archive.add(positions, told(1 - found))
        spent.append(time.process_time() - begin)
    assert len(archive) == 100
    assert min(spent[1:]) < 0.25  # about .01 s on an idle core
