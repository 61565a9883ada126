"""The pseudo-clusters of groups that are all right or all wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mindgap.metrics.bootstrap import bootstrap_counts
from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.counts import GroupCounts
from mindgap.metrics.interval import interval
from mindgap.metrics.metric import METRICS
from mindgap.metrics.pseudo_clusters import PseudoClusters, clusters_by_cell, clusters_by_group


def rows_of(labels, predicted, ids, clusters=None, *, n_classes=2):
    columns = [np.asarray(c, dtype=np.int64) for c in (labels, predicted, ids)]
    numbers = np.arange(len(labels)) if clusters is None else np.asarray(clusters, dtype=np.int64)
    return ClusteredRows.of(*columns, numbers, n_groups=int(max(ids)) + 1, n_classes=n_classes)


def replicates_of(rows, number=4000):
    return np.concatenate(
        [one for one, _ in bootstrap_counts(rows, replicates=number, generator=np.random.default_rng(0))]
    )


def one_group(right, wrong):
    return rows_of([0] * (right + wrong), [0] * right + [1] * wrong, [0] * (right + wrong))


@pytest.mark.parametrize(
    ("right", "wrong", "chance_right"),
    [(5, 0, 0), (6, 1, 0), (0, 5, 1), (1, 6, 1), (6, 2, np.nan), (4, 0, np.nan), (3, 1, np.nan), (1, 0, np.nan)],
)
def test_groups_in_which_at_most_one_cluster_differs_have_one_from_five_clusters(right, wrong, chance_right):
    np.testing.assert_equal(PseudoClusters.of(one_group(right, wrong)).chance_right, [chance_right])


def test_clusters_that_are_all_half_right_may_be_better_or_worse():
    rows = rows_of([0] * 12, [0, 1] * 6, [0] * 12, np.arange(12) // 2)
    assert PseudoClusters.of(rows).chance_right.tolist() == [0.5]
    accuracy = replicates_of(rows)[:, 0, 0, 0] / 12
    assert accuracy.mean() == pytest.approx(0.5, abs=0.01)
    assert accuracy.std() > 0.05


@pytest.mark.parametrize("right", [5, 12])
def test_the_errors_of_a_group_without_any_reach_the_exact_bound(right):
    errors = replicates_of(one_group(right, 0), 20_000)[:, 0, 0, 1] / right
    assert np.quantile(errors, 0.95) == pytest.approx(1 - 0.05 ** (1 / right), abs=0.01)
    assert stats.kstest(errors, stats.beta(1, right).cdf).pvalue > 0.001


def test_rows_keep_their_class_and_go_where_the_errors_of_other_groups_go():
    # group 0 is all right; in group 1 class 0 is taken for class 2, and class 1 never wrong
    labels = [0] * 6 + [1] * 6 + [0] * 6 + [1] * 6
    rows = rows_of(labels, [0] * 6 + [1] * 6 + [0, 2] * 3 + [1] * 6, [0] * 12 + [1] * 12, n_classes=3)
    counts = replicates_of(rows, 500)
    assert counts.sum(axis=(2, 3)) == pytest.approx(np.full((500, 2), 12))
    assert np.all(counts[:, 0, 0, 1] == 0)
    assert counts[:, 0, 0, 2].mean() == pytest.approx(6 / 13, rel=0.2)  # half of the rows, and 1/13 of them wrong
    assert counts[:, 0, 1, 0] == pytest.approx(counts[:, 0, 1, 2])
    assert np.all(counts[:, 1] == np.round(counts[:, 1]))


def by_class_of(rows, number=4000):
    stream = bootstrap_counts(rows, replicates=number, generator=np.random.default_rng(0))
    return np.concatenate([counts if by_class is None else by_class for counts, by_class in stream])


def test_a_class_that_is_all_right_varies_where_classes_are_compared_and_only_there():
    rows = rows_of([0] * 6 + [1] * 30, [0] * 6 + [0, 1] * 15, [0] * 36)
    assert PseudoClusters.of(rows).cell_chance_right.tolist() == [[0.0, pytest.approx(np.nan, nan_ok=True)]]
    counts, by_class = replicates_of(rows, 20_000)[:, 0], by_class_of(rows, 20_000)[:, 0]
    assert np.all(counts[:, 0, 1] == 0)
    there = counts[:, 0, 0] > 0
    errors = by_class[there, 0, 1] / by_class[there, 0].sum(axis=-1)
    assert stats.kstest(errors, stats.beta(1, 6).cdf).pvalue > 0.001
    np.testing.assert_array_equal(by_class[:, 1], counts[:, 1])
    np.testing.assert_allclose(by_class.sum(axis=-1), counts.sum(axis=-1))


def test_classes_of_fewer_than_five_clusters_are_left_as_they_are():
    rows = rows_of([0] * 4 + [1] * 30, [0] * 4 + [0, 1] * 15, [0] * 34)
    assert np.isnan(PseudoClusters.of(rows).cell_chance_right).all()
    ((_, by_class),) = bootstrap_counts(rows, replicates=5, generator=np.random.default_rng(0))
    assert by_class is None


def test_classes_too_small_for_their_own_have_that_of_their_group():
    # group 1 is all right, four rows of either class; in group 0 one class is, so that there are second counts
    labels, ids = [0] * 6 + [1] * 30 + [0] * 4 + [1] * 4, [0] * 36 + [1] * 8
    rows = rows_of(labels, [0] * 6 + [0, 1] * 15 + [0] * 4 + [1] * 4, ids)
    np.testing.assert_array_equal(by_class_of(rows, 500)[:, 1], replicates_of(rows, 500)[:, 1])
    assert replicates_of(rows, 500)[:, 1, 0, 1].max() > 0


def test_intervals_of_equalised_odds_hold_the_truth_where_a_class_is_rare_in_a_group():
    metric, hits, plain = METRICS.get("equalized_odds_abs_mean")(), 0, 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        ids, labels = np.repeat([0, 0, 1, 1], [100, 200, 8, 92]), np.repeat([1, 0, 1, 0], [100, 200, 8, 92])
        predicted = (generator.random(400) < np.where(labels == 1, 0.9, 0.1)).astype(np.int64)
        rows = rows_of(labels, predicted, ids)
        observed = GroupCounts(np.bincount(rows.cells, minlength=8).reshape(2, 2, 2) * 1.0, ("a", "b"), ("0", "1"))
        value, held = float(metric.value(observed, observed)), []
        for drawn in (by_class_of(rows, 400), replicates_of(rows, 400)):
            distances = metric.distance(observed.replicates(drawn), observed)
            low, high, _ = interval("norm_pivot", value, replicates=distances, distances=distances, limits=(0.0, 1.0))
            held.append(low <= 0.0 <= high)
        hits, plain = hits + held[0], plain + held[1]
    assert hits / 200 >= 0.95
    assert plain / 200 <= 0.85


def test_one_class_alone_cannot_be_wrong():
    assert np.all(replicates_of(rows_of([0] * 8, [0] * 8, [0] * 8, n_classes=1), 50) == pytest.approx(8))


def test_clusters_are_counted_by_group_and_by_class():
    rows = rows_of([0, 0, 1, 1, 0], [0] * 5, [0, 0, 0, 1, 1], [0, 0, 0, 0, 1])
    assert clusters_by_group(rows).tolist() == [1, 2]
    assert clusters_by_cell(rows).tolist() == [[1, 1], [1, 1]]
