"""ROC curves: hand cases, properties, and scikit-learn as oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_curve

from mindgap.core.errors import ShapeError
from mindgap.metrics.roc import area_between, auroc, curve_area, roc_curve


def made(seed: int, n: int = 60, *, values: int = 12) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    positive = np.append([True, False], generator.random(n - 2) < 0.4)
    return positive, generator.integers(0, values, n) / values + 0.2 * positive


def numeric_area(first, second, points: int = 400_001) -> float:
    """The area by brute force: values of both curves at midpoints."""
    x = (np.arange(points) + 0.5) / points
    return float(np.abs(at(first, x) - at(second, x)).mean())


def at(curve, x):
    fpr, tpr = curve
    place = np.searchsorted(fpr, x, side="right") - 1
    slope = (tpr[place + 1] - tpr[place]) / (fpr[place + 1] - fpr[place])
    return tpr[place] + slope * (x - fpr[place])


def test_a_curve_by_hand() -> None:
    fpr, tpr = roc_curve(np.array([True, False, True, False]), np.array([0.9, 0.6, 0.4, 0.1]))
    assert fpr.tolist() == [0, 0, 0.5, 0.5, 1]
    assert tpr.tolist() == [0, 0.5, 0.5, 1, 1]
    assert curve_area((fpr, tpr)) == 0.75


def test_ties_are_one_diagonal_step() -> None:
    fpr, tpr = roc_curve(np.array([True, False, True, False]), np.full(4, 0.5))
    assert (fpr.tolist(), tpr.tolist()) == ([0, 1], [0, 1])
    assert auroc(np.array([True, False]), np.array([0.5, 0.5])) == 0.5


@pytest.mark.parametrize("positive", [True, False])
def test_one_kind_alone_is_undefined(positive: bool) -> None:
    only = np.full(5, positive)
    assert np.isnan(auroc(only, np.arange(5.0)))
    curve = roc_curve(only, np.arange(5.0))
    assert np.isnan(area_between(curve, roc_curve(*made(0))))
    assert np.isnan(area_between(roc_curve(*made(0)), curve))


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"positive \(2,\) and scores \(3,\)"):
        roc_curve(np.array([True, False]), np.zeros(3))


@pytest.mark.parametrize("seed", range(20))
def test_curve_and_area_are_scikit_learns(seed: int) -> None:
    positive, scores = made(seed)
    fpr, tpr, _ = sklearn_curve(positive, scores, drop_intermediate=True)
    ours = roc_curve(positive, scores)
    x = (np.arange(997) + 0.5) / 997
    np.testing.assert_allclose(at(ours, x), at((fpr, tpr), x), atol=1e-12)
    assert auroc(positive, scores) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)


def test_the_area_between_a_perfect_and_a_random_curve() -> None:
    perfect = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0])
    random = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    assert area_between(perfect, random) == 0.5


def test_a_crossing_within_an_interval_is_split() -> None:
    """Straight lines from (0, 0) to (.5, .8) to (1, 1) and from (0, .4) to (1, 1) cross: trapezoids would miss it."""
    bent = np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.8, 1.0])
    jump = np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.4, 1.0])
    # d runs from −.4 to .1 over the first half, then from .1 to 0
    assert area_between(bent, jump) == pytest.approx(0.5 * (0.16 + 0.01) / (2 * 0.5) + 0.5 * 0.05, abs=1e-15)


@pytest.mark.parametrize("seed", range(12))
def test_the_area_is_that_of_a_fine_grid(seed: int) -> None:
    first, second = roc_curve(*made(seed)), roc_curve(*made(seed + 100, n=35, values=7))
    assert area_between(first, second) == pytest.approx(numeric_area(first, second), abs=2e-5)


@given(st.integers(0, 10_000), st.integers(5, 40), st.integers(5, 40), st.integers(1, 30))
@settings(max_examples=100)
def test_the_area_between_bounds_the_difference_of_areas(seed: int, n: int, m: int, values: int) -> None:
    first, second = roc_curve(*made(seed, n, values=values)), roc_curve(*made(seed + 1, m, values=values))
    area = area_between(first, second)
    assert abs(curve_area(first) - curve_area(second)) - 1e-12 <= area <= 1
    assert area == pytest.approx(area_between(second, first), abs=1e-12)
    assert area_between(first, first) == 0


@given(st.integers(0, 10_000))
@settings(max_examples=40)
def test_any_increasing_change_of_the_scores_changes_nothing(seed: int) -> None:
    positive, scores = made(seed)
    np.testing.assert_array_equal(roc_curve(positive, scores), roc_curve(positive, np.exp(3 * scores)))
