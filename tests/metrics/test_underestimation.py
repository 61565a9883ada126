"""The underestimation score with its interval, and the underestimation index."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.metrics.class_rate_interval import class_rate_bounds
from mindgap.metrics.counts import GroupCounts
from mindgap.metrics.metric import METRICS, class_rates

US = METRICS.get("underestimation")()
UEI = METRICS.get("uei")()


def two_groups():
    """Group a: 25 of 50 rows are y and 16 are predicted y; group b: 25 and 25, with as many errors either way."""
    return GroupCounts(np.array([[[23.0, 2.0], [11.0, 14.0]], [[20.0, 5.0], [5.0, 20.0]]]), ("a", "b"), ("x", "y"))


def test_the_score_is_predicted_over_true_of_every_group_and_class():
    np.testing.assert_allclose(US.rates(two_groups()), [[34 / 25, 16 / 25], [1, 1]])
    assert US.rows(two_groups(), 0, 1) == 25


def test_a_score_without_positives_is_undefined_and_of_a_class_never_predicted_zero():
    counts = GroupCounts(np.array([[[9.0, 0.0], [6.0, 0.0]], [[5.0, 5.0], [0.0, 0.0]]]), ("a", "b"), ("x", "y"))
    rates = US.rates(counts)
    assert rates[0, 1] == 0
    assert US.no_interval(counts, 0, 1) == "no interval: 0 rows given the class, under 5"
    assert np.isnan(rates[1, 1])
    assert US.reason(counts, 1, 1) == "no positives"
    empty = GroupCounts(np.zeros((1, 2, 2)), ("a",), ("x", "y"))
    assert US.reason(empty, 0, 0) == "no rows"


def test_fewer_than_five_rows_of_any_kind_leave_no_interval():
    counts = np.array([[[50.0, 3.0], [3.0, 1.0]], [[50.0, 1.0], [0.0, 20.0]], [[50.0, 5.0], [5.0, 20.0]]])
    three = GroupCounts(counts, ("a", "b", "c"), ("x", "y"))
    assert US.no_interval(three, 0, 1) == "no interval: 4 rows of the class, under 5"
    assert US.no_interval(three, 1, 1) == "no interval: 1 row wrong about it, under 5"
    assert US.no_interval(three, 2, 1) is None


def test_the_score_is_a_registered_class_rate():
    assert "underestimation" in [metric.name for metric in class_rates(("x", "y", "z"))]


def test_its_interval_is_symmetric_on_the_log_scale_and_may_lie_above_one():
    observed = two_groups()
    factor = np.exp(np.linspace(-0.2, 0.1, 301))
    bounds = class_rate_bounds(US, observed, US.rates(observed) * factor[:, None, None])
    c = np.quantile(np.abs(np.log(factor)), 0.95)
    low, high, reason = bounds[0][0]
    assert (low, high) == (pytest.approx(1.36 * math.exp(-c), rel=1e-2), pytest.approx(1.36 * math.exp(c), rel=1e-2))
    assert low > 1
    assert reason is None


def test_a_score_without_an_interval_says_why():
    counts = GroupCounts(np.array([[[50.0, 1.0], [0.0, 20.0]], [[9.0, 8.0], [0.0, 0.0]]]), ("a", "b"), ("x", "y"))
    none = class_rate_bounds(US, counts, np.empty((0, 2, 2)))
    assert none[0][0][2] == "no interval: no bootstrap was asked for"
    bounds = class_rate_bounds(US, counts, np.tile(US.rates(counts), (100, 1, 1)))
    assert bounds[0][1][2] == "no interval: 1 row wrong about it, under 5"
    assert bounds[1][0][2] == "no interval: almost no resample moves this value"
    assert bounds[1][1][2] is None
    assert np.isnan([low for row in bounds for low, _, _ in row]).all()


def test_resamples_that_lost_the_class_or_its_predictions_too_often_leave_no_interval():
    observed = two_groups()
    replicates = np.tile(US.rates(observed), (100, 1, 1))
    replicates[:11, 0, 1], replicates[:6, 0, 0] = np.nan, 0
    bounds = class_rate_bounds(US, observed, replicates)
    assert bounds[0][1][2] == "no interval: undefined in 11 of 100 bootstrap replicates"
    assert bounds[0][0][2] == "no interval: in over 5 % of the resamples the rate is 0"


@pytest.mark.parametrize(("n", "prevalence", "tpr", "fpr"), [(100, 0.5, 0.6, 0.05), (400, 0.05, 0.9, 0.05)])
def test_its_interval_holds_the_truth(n, prevalence, tpr, fpr):
    chances = np.array([(1 - prevalence) * (1 - fpr), (1 - prevalence) * fpr, prevalence * (1 - tpr), prevalence * tpr])
    truth = (chances[1] + chances[3]) / prevalence
    held = []
    for seed in range(150):
        generator = np.random.default_rng(seed)
        cells = generator.multinomial(n, chances)
        observed = GroupCounts(cells.reshape(1, 2, 2).astype(np.float64), ("a",), ("x", "y"))
        drawn = generator.multinomial(n, cells / n, size=300).reshape(300, 1, 2, 2)
        bounds = class_rate_bounds(US, observed, US.rates(observed.replicates(drawn.astype(np.float64))))
        low, high, reason = bounds[0][1]
        if reason is None:
            held.append(low <= truth <= high)
    assert len(held) > 100
    assert np.mean(held) > 0.91


def test_the_index_of_a_hand_computed_table():
    # P[ŷ, a] = .34 .16, P[ŷ, b] = .25 .25; P[y, s] = .25 throughout
    expected = math.sqrt(((math.sqrt(0.34) - 0.5) ** 2 + (math.sqrt(0.16) - 0.5) ** 2) / 2)
    assert UEI.value(two_groups(), two_groups()) == pytest.approx(expected)
    assert round(expected, 3) == 0.092
    # of two classes, each against the rest is the same comparison
    np.testing.assert_allclose(UEI.class_value(two_groups(), two_groups()), [expected, expected])


def test_the_index_per_class_is_that_of_the_class_against_the_rest():
    cells = np.random.default_rng(0).integers(1, 20, size=(3, 4, 4)).astype(np.float64)
    counts = GroupCounts(cells, ("a", "b", "c"), ("x", "y", "z", "u"))
    for k in range(4):
        rest = [j for j in range(4) if j != k]
        rows = np.stack([cells[:, rest].sum(axis=1), cells[:, k]], axis=1)
        merged = np.stack([rows[..., rest].sum(axis=-1), rows[..., k]], axis=-1)
        binary = GroupCounts(merged, counts.groups, ("rest", "class"))
        assert UEI.class_value(counts, counts)[k] == pytest.approx(UEI.value(binary, binary))


def test_an_index_of_zero_does_not_mean_few_errors():
    swapped = GroupCounts(np.array([[[0.0, 9.0], [9.0, 0.0]]] * 2), ("a", "b"), ("x", "y"))
    assert UEI.value(swapped, swapped) == 0


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(2, 4))
def test_the_index_is_equation_two_and_lies_in_the_unit_interval(seed, n_groups, n_classes):
    generator = np.random.default_rng(seed)
    shape = (n_groups, n_classes, n_classes)
    cells = (generator.integers(1, 20, size=shape) * (generator.random(shape) < 0.4)).astype(np.float64)
    cells[:, 0, 0] += 1
    counts = GroupCounts(cells, tuple("abcd"[:n_groups]), tuple("xyzu"[:n_classes]))
    predicted, true = cells.sum(axis=1) / cells.sum(), cells.sum(axis=2) / cells.sum()
    printed = 1 - np.sqrt(predicted * true).sum()
    assert UEI.value(counts, counts) ** 2 == pytest.approx(printed, abs=1e-12)
    everything = np.append(UEI.class_value(counts, counts), UEI.value(counts, counts))
    assert np.all((everything >= 0) & (everything <= 1 + 1e-12))


def test_the_index_comes_near_one_where_no_class_is_given_to_whom_it_belongs():
    wrong = np.zeros((2, 3, 3))
    wrong[:, 0, 1] = 10
    counts = GroupCounts(wrong, ("a", "b"), ("x", "y", "z"))
    assert UEI.value(counts, counts) == pytest.approx(1)


def test_resampled_counts_that_round_below_their_sum_still_have_an_index():
    """1.6, 7.8 and 4.9 rows predicted y add up to 1.8e-15 more in one order than in the other."""
    counts = np.zeros((2, 3, 3))
    counts[0, :, 1] = [1.6, 7.8, 4.9]
    counts[1] = 1.0
    counts = GroupCounts(counts, ("a", "b"), ("x", "y", "z"))
    assert (counts.sizes[..., None] - counts.selected).min() < 0
    assert np.isfinite(UEI.class_value(counts, counts)).all()
