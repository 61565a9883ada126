"""Intervals: their formulas, what they do with undefined replicates, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mindgap.metrics.bootstrap import bootstrap_counts
from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.counts import GroupCounts
from mindgap.metrics.interval import exact_interval, interval, log_interval, norm_pivot_interval, percentile_interval
from mindgap.metrics.metric import METRICS

UNIT = (0.0, 1.0)


def test_percentiles_are_those_of_the_replicates():
    low, high, reason = percentile_interval(0.5, np.arange(1001) / 1000)
    assert (low, high, reason) == (pytest.approx(0.025), pytest.approx(0.975), None)


def test_a_percentile_interval_holds_the_value():
    assert percentile_interval(0.9, np.full(100, 0.5))[:2] == (0.5, 0.9)


def test_the_norm_pivot_adds_the_95_percent_distance_and_stops_at_the_limits():
    distances = np.arange(1, 101) / 1000
    assert norm_pivot_interval(0.3, distances, limits=UNIT)[:2] == (pytest.approx(0.3 - 0.096), pytest.approx(0.396))
    assert norm_pivot_interval(0.05, distances, limits=UNIT)[0] == 0
    assert norm_pivot_interval(0.95, distances, limits=UNIT)[1] == 1


def test_a_value_at_its_limit_stays_in_its_interval_where_rounding_puts_it_beyond():
    beyond = np.nextafter(1.0, 2.0)
    assert norm_pivot_interval(beyond, np.full(10, 0.1), limits=UNIT)[:2] == (pytest.approx(0.9), beyond)


@pytest.mark.parametrize("kind", ["percentile", "log", "norm_pivot"])
@pytest.mark.parametrize("noise", [0.0, 1e-16])
def test_resamples_that_never_move_are_no_interval(kind, noise):
    moves = noise * (np.arange(200) % 3)
    low, high, reason = interval(kind, 0.4, replicates=0.4 + moves, distances=moves, limits=UNIT)
    assert math.isnan(low)
    assert math.isnan(high)
    assert reason == "no interval: almost no resample moves this value"


def test_a_few_resamples_that_move_do_not_make_the_value_certain():
    # a constant prediction of three classes: the rarest has four rows, so e^-4 of the resamples lose it
    lost = np.where(np.arange(2000) < 37, 1 / 2, 1 / 3)
    assert interval("percentile", 1 / 3, replicates=lost, distances=lost, limits=UNIT)[2] is not None


@pytest.mark.parametrize("kind", ["percentile", "log", "norm_pivot"])
def test_a_small_move_is_an_interval(kind):
    moves = 1e-6 * (np.arange(200) % 3)
    low, high, reason = interval(kind, 0.4, replicates=0.4 + moves, distances=moves, limits=UNIT)
    assert low <= 0.4 < high
    assert reason is None


def test_the_log_interval_multiplies_and_stops_at_one():
    low, high, _ = log_interval(0.6, np.full(10, math.log(1.5)), limits=UNIT)
    assert (low, high) == (pytest.approx(0.4), pytest.approx(0.9))
    assert log_interval(0.9, np.full(10, math.log(1.5)), limits=UNIT)[1] == 1
    assert log_interval(0.9, np.full(10, math.inf), limits=UNIT)[:2] == (0, 1)


def test_a_rate_of_zero_has_no_interval_on_the_log_scale():
    low, high, reason = log_interval(0.0, np.full(10, math.nan), limits=UNIT)
    assert math.isnan(low)
    assert math.isnan(high)
    assert reason == "no interval on the log scale: a group's rate is 0"


@pytest.mark.parametrize("kind", ["percentile", "log", "norm_pivot"])
def test_undefined_replicates_are_left_out_up_to_a_tenth(kind):
    few, many = np.array([0.1] * 9 + [math.nan]), np.array([0.1] * 8 + [math.nan] * 2)
    assert interval(kind, 0.2, replicates=few, distances=few, limits=UNIT)[2] is None
    low, high, reason = interval(kind, 0.2, replicates=many, distances=many, limits=UNIT)
    assert math.isnan(low)
    assert math.isnan(high)
    assert reason == "no interval: undefined in 2 of 10 bootstrap replicates"


def test_a_log_interval_may_rise_further_than_it_falls():
    fall, rise = np.full(10, math.log(1.5)), np.full(10, math.log(1.6))
    assert log_interval(0.6, fall, limits=UNIT, upper=rise)[:2] == (pytest.approx(0.4), pytest.approx(0.96))


@pytest.mark.parametrize("clusters", [1, 5, 20, 400])
def test_exact_intervals_are_those_of_clopper_and_pearson(clusters):
    for right, value in ((clusters, 1.0), (0, 0.0)):
        expected = stats.binomtest(right, clusters).proportion_ci(0.95, method="exact")
        low, high, reason = exact_interval(value, clusters)
        assert (low, high) == (pytest.approx(expected.low), pytest.approx(expected.high))
        assert reason is None


def test_no_replicates_are_no_interval_and_the_reason_says_so():
    assert percentile_interval(0.2, np.empty(0))[2] == "no interval: no bootstrap was asked for"


def coverage(name, accuracies, sizes, *, trials, cluster_of=1):
    """Share of made-up samples whose interval holds the truth, and that of plain percentiles, for one metric."""
    metric = METRICS.get(name)()
    names = tuple(f"g{k}" for k in range(len(sizes)))
    truth = true_counts(accuracies, sizes, names)
    expected = float(metric.value(truth, truth))
    ids = np.repeat(np.arange(len(sizes)), sizes)
    clusters = np.arange(len(ids)) // cluster_of
    hits = [0, 0]
    for seed in range(trials):
        generator = np.random.default_rng(seed)
        luck = stats.norm.cdf(generator.normal(size=len(ids)) * 0.6 + 0.8 * generator.normal(size=len(ids))[clusters])
        wrong = (luck >= np.asarray(accuracies)[ids]).astype(np.int64)
        rows = ClusteredRows.of(np.zeros_like(ids), wrong, ids, clusters, n_groups=len(sizes), n_classes=2)
        observed = GroupCounts(
            np.bincount(rows.cells, minlength=rows.n_cells).reshape(rows.shape) * 1.0, names, ("r", "w")
        )
        stream = bootstrap_counts(rows, replicates=400, generator=generator)
        replicates = observed.replicates(np.concatenate([counts for counts, _ in stream]))
        value, values = float(metric.value(observed, observed)), metric.value(replicates, observed)
        distances = metric.distance(replicates, observed)
        for k, kind in enumerate((metric.interval, "percentile")):
            low, high, _ = interval(kind, value, replicates=values, distances=distances, limits=metric.range)
            hits[k] += low - 1e-12 <= expected <= high + 1e-12
    return hits[0] / trials, hits[1] / trials


def true_counts(accuracies, sizes, names):
    counts = np.zeros((len(sizes), 2, 2))
    counts[:, 0, 0] = np.asarray(accuracies) * sizes
    counts[:, 0, 1] = (1 - np.asarray(accuracies)) * sizes
    return GroupCounts(counts, names, ("r", "w"))


@pytest.mark.parametrize("name", ["unfairness", "accuracy_difference", "accuracy_ratio"])
def test_pivots_hold_the_truth_at_equality_where_percentiles_do_not(name):
    pivot, percentile = coverage(name, [0.8] * 4, [300, 150, 90, 60], trials=150)
    assert pivot >= 0.93
    assert percentile <= 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unfairness", "accuracy_difference", "spd", "accuracy_ratio"])
@pytest.mark.parametrize(
    ("accuracies", "cluster_of"),
    [([0.8] * 4, 1), ([0.8] * 4, 3), ([0.82, 0.8, 0.8, 0.78], 1), ([0.9, 0.8, 0.7, 0.6], 3)],
)
def test_pivots_hold_the_truth_near_and_far_from_equality(name, accuracies, cluster_of):
    sizes = [size * cluster_of for size in (600, 300, 180, 120)]  # as many clusters, so as much to learn from
    pivot, _ = coverage(name, accuracies, sizes, trials=1000, cluster_of=cluster_of)
    assert pivot >= 0.93


SMALL = [(k, p) for k in (5, 10, 20, 40) for p in (0.6, 0.7, 0.9, 0.95)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unfairness", "accuracy_difference"])
@pytest.mark.parametrize(("k", "p"), SMALL)
def test_pivots_hold_the_truth_with_a_group_of_few_clusters(name, k, p):
    pivot, _ = coverage(name, [p] * 3, [500, 500, k], trials=300)
    assert pivot >= 0.90 - 2.5 * math.sqrt(0.9 * 0.1 / 300)


def test_a_small_group_that_is_all_right_does_not_hide_that_nothing_is_unfair():
    pivot, _ = coverage("unfairness", [0.9] * 3, [500, 500, 10], trials=100)
    assert pivot >= 0.95


@pytest.mark.parametrize("groups", [6, 10])
def test_the_worst_of_equal_groups_is_held_where_percentiles_of_a_minimum_are_not(groups):
    pivot, percentile = coverage("worst_group_accuracy", [0.8] * groups, [500] * groups, trials=100)
    assert pivot >= 0.93
    assert percentile <= 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("k", "p"), SMALL)
def test_the_worst_group_is_held_where_it_is_small(k, p):
    pivot, _ = coverage("worst_group_accuracy", [0.97, 0.97, p], [500, 500, k], trials=300)
    assert pivot >= 0.90 - 2.5 * math.sqrt(0.9 * 0.1 / 300)
