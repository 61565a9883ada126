"""Permutations of group labels against naive ones, and the floors and p-values made of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.counts import GroupCounts, mean_of_defined
from mindgap.metrics.metric import METRICS
from mindgap.metrics.noise_floor import _by_shuffling, _by_tables, draw_tables, noise_floor, permuted_counts
from mindgap.metrics.permutation_strata import permutation_strata


def permutations_of(rows, number, seed=0):
    return np.concatenate(list(permuted_counts(rows, replicates=number, generator=np.random.default_rng(seed))))


def naive_permutations(rows, count, *, number, seed):
    """One permutation at a time, from the definition: patterns of groups swapped among the clusters of a stratum."""
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(rows.clusters == k) for k in range(rows.n_clusters)]
    members = [m[np.argsort(rows.labels[m], kind="stable")] for m in members]
    strata = {}
    for k, m in enumerate(members):
        one = len({*rows.labels[m]}) == 1 and len({*rows.group_ids[m]}) == 1
        strata.setdefault(("class", rows.labels[m[0]]) if one else tuple(rows.labels[m]), []).append(k)
    found = []
    for _ in range(number):
        ids = rows.group_ids.copy()
        for clusters in strata.values():
            for to, source in zip(clusters, generator.permutation(clusters), strict=True):
                pattern = rows.group_ids[members[source]]
                ids[members[to]] = pattern if len(pattern) == len(members[to]) else pattern[0]
        found.append(count(rows, group_ids=ids))
    return np.stack(found)


def assert_same_moments(first, second):
    flat_first, flat_second = first.reshape(len(first), -1), second.reshape(len(second), -1)
    size = min(len(first), len(second))
    scale = np.sqrt(flat_second.var(axis=0))
    assert np.all(np.abs(flat_first.mean(0) - flat_second.mean(0)) <= 5 * scale * np.sqrt(2 / size) + 1e-9)
    covariance = np.cov(flat_first.T) - np.cov(flat_second.T)
    assert np.all(np.abs(covariance) <= 6 * np.outer(scale, scale) * np.sqrt(6 / size) + 1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_moments_equal_those_of_permuting_one_by_one(clustered_sample, count, seed):
    rows = clustered_sample(seed, n_clusters=40, max_size=3, n_classes=2, mixed=0.4)
    assert_same_moments(permutations_of(rows, 20_000), naive_permutations(rows, count, number=3000, seed=seed))


@pytest.mark.parametrize("seed", range(3))
def test_tables_and_shuffling_are_the_same_distribution(clustered_sample, seed):
    rows = clustered_sample(seed, n_clusters=60, max_size=3, n_classes=2, mixed=0.4)
    moving, _ = permutation_strata(rows)
    assert moving
    for stratum in moving:
        by_tables = _by_tables(stratum, 10_000, np.random.default_rng(1))
        by_shuffling = _by_shuffling(stratum, 10_000, np.random.default_rng(2))
        assert_same_moments(by_tables, by_shuffling)


def test_random_tables_are_multivariate_hypergeometric():
    tables = draw_tables(np.array([4, 3, 2]), np.array([5, 4]), replicates=50_000, generator=np.random.default_rng(0))
    assert np.all(tables.sum(axis=2) == [4, 3, 2])
    assert np.all(tables.sum(axis=1) == [5, 4])
    expected = stats.multivariate_hypergeom([4, 3, 2], 5)
    for first in ([4, 1, 0], [2, 2, 1], [0, 3, 2], [3, 1, 1]):
        share = np.all(tables[:, :, 0] == first, axis=1).mean()
        assert share == pytest.approx(expected.pmf(first), abs=5 * math.sqrt(0.25 / 50_000))


def test_the_case_mix_of_every_group_stays_where_clusters_have_one_size(clustered_sample):
    rows = clustered_sample(3, max_size=1)
    support = permutations_of(rows, 200).sum(axis=3)
    observed = np.zeros(rows.shape[:2])
    np.add.at(observed, (rows.group_ids, rows.labels), 1)
    assert np.all(support == observed)


def test_a_permutation_never_breaks_a_cluster():
    # class 0 in clusters of three that are all right or all wrong: every group's counts stay multiples of three
    right = np.repeat(np.array([0, 1, 0, 1, 0, 0, 1, 0]), 3)
    columns = (np.zeros(24, dtype=np.int64), right, np.repeat(np.array([0, 1] * 4), 3), np.repeat(np.arange(8), 3))
    counts = permutations_of(ClusteredRows.of(*columns, n_groups=2, n_classes=2), 300)
    assert np.all(counts % 3 == 0)
    assert len(np.unique(counts, axis=0)) > 1


def test_a_pattern_of_several_groups_moves_as_a_whole():
    # two clusters with the classes (0, 1): one holds the groups (0, 1) and is right, the other (1, 0) and is wrong
    rows = ClusteredRows.of(
        np.array([0, 1, 0, 1]), np.array([0, 1, 1, 0]), np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1]),
        n_groups=2, n_classes=2,
    )  # fmt: skip
    found = {tuple(np.flatnonzero(counts).tolist()) for counts in permutations_of(rows, 100)}
    # cells are (group · 2 + class) · 2 + prediction; a broken pattern would give other sets
    assert found == {(0, 2, 5, 7), (1, 3, 4, 6)}


def test_floors_of_both_directions():
    permuted = np.arange(1, 101) / 100
    mean, tail, p_value = noise_floor(0.9, permuted, direction="smaller")
    assert (mean, tail) == (pytest.approx(0.505), pytest.approx(np.quantile(permuted, 0.95)))
    assert p_value == pytest.approx((1 + 11) / 101)
    _, tail, p_value = noise_floor(0.1, permuted, direction="larger")
    assert tail == pytest.approx(np.quantile(permuted, 0.05))
    assert p_value == pytest.approx((1 + 10) / 101)


def test_an_undefined_value_has_no_floor_and_an_undefined_permutation_counts_against():
    assert all(math.isnan(x) for x in noise_floor(math.nan, np.ones(5), direction="smaller"))
    assert all(math.isnan(x) for x in noise_floor(0.5, np.empty(0), direction="smaller"))
    assert noise_floor(0.5, np.array([0.1, math.nan]), direction="smaller")[2] == pytest.approx(2 / 3)


def test_six_identical_groups_of_very_different_size_are_unfair_by_chance():
    sizes = [7000, 2900, 72, 24, 5, 5]
    ids = np.repeat(np.arange(6), sizes)
    wrong = (np.random.default_rng(0).permutation(len(ids)) >= 0.8 * len(ids)).astype(np.int64)
    rows = ClusteredRows.of(np.zeros_like(ids), wrong, ids, np.arange(len(ids)), n_groups=6, n_classes=2)
    counts = GroupCounts(permutations_of(rows, 4000), tuple("abcdef"), ("right", "wrong"))
    metric = METRICS.get("unfairness")()
    assert metric.value(counts, counts).mean() == pytest.approx(0.375, abs=0.01)


def no_effect_p_values(*, clusters_of, trials, permutations, n_clusters=150):
    """p-values of U where groups have no effect but the rows of a cluster are right or wrong together."""
    metric = METRICS.get("unfairness")()
    found = []
    for seed in range(trials):
        generator = np.random.default_rng(seed)
        clusters = np.repeat(np.arange(n_clusters), clusters_of)
        labels = generator.integers(2, size=n_clusters)[clusters]
        ids = generator.choice(3, size=n_clusters, p=[0.6, 0.3, 0.1])[clusters]
        easy = generator.beta(2, 0.7, size=n_clusters)[clusters]
        predicted = np.where(generator.random(len(clusters)) < easy, labels, 1 - labels)
        rows = ClusteredRows.of(labels, predicted, ids, clusters, n_groups=3, n_classes=2)
        observed = GroupCounts(
            np.bincount(rows.cells, minlength=12).reshape(3, 2, 2) * 1.0, ("a", "b", "c"), ("x", "y")
        )
        permuted = observed.replicates(permutations_of(rows, permutations, seed))
        value = float(metric.value(observed, observed))
        found.append(noise_floor(value, metric.value(permuted, observed), direction="smaller")[2])
    return np.array(found)


@pytest.mark.parametrize("clusters_of", [1, 3])
def test_p_values_are_uniform_where_the_group_has_no_effect(clusters_of):
    p_values = no_effect_p_values(clusters_of=clusters_of, trials=400, permutations=199)
    assert (p_values <= 0.05).mean() <= 0.08
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_a_real_effect_is_found():
    generator = np.random.default_rng(0)
    clusters = np.repeat(np.arange(200), 3)
    labels, ids = generator.integers(2, size=200)[clusters], generator.integers(2, size=200)[clusters]
    right = generator.random(600) < np.where(ids == 0, 0.9, 0.6)
    rows = ClusteredRows.of(labels, np.where(right, labels, 1 - labels), ids, clusters, n_groups=2, n_classes=2)
    observed = GroupCounts(np.bincount(rows.cells, minlength=8).reshape(2, 2, 2) * 1.0, ("a", "b"), ("x", "y"))
    permuted = observed.replicates(permutations_of(rows, 999))
    metric = METRICS.get("accuracy_difference")()
    value = float(metric.value(observed, observed))
    assert noise_floor(value, metric.value(permuted, observed), direction="smaller")[2] == pytest.approx(0.001)
    assert mean_of_defined(metric.value(permuted, observed)) < value / 3
