"""The bootstrap by types against the exact moments of drawing whole clusters."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.metrics.bootstrap import bootstrap_counts
from mindgap.metrics.cluster_types import ClusteredRows

REPLICATES = 20_000


def replicates_of(rows, number=REPLICATES, seed=0):
    return np.concatenate(
        [one for one, _ in bootstrap_counts(rows, replicates=number, generator=np.random.default_rng(seed))]
    )


def exact_moments(rows, count):
    """Mean and covariance of the flattened counts where K_s clusters of each set of groups are drawn from K_s.

    The draws are multinomial: with x_i what cluster i adds, the mean is Σ x_i and the covariance
    Σ_s (Σ_{i∈s} x_i x_iᵀ − (Σ_{i∈s} x_i)(Σ_{i∈s} x_i)ᵀ / K_s). Sets of one cluster are a stratum, or, if there is one
    such set, in the largest.
    """
    added = np.stack([count(rows, times=rows.clusters == k).ravel() for k in range(rows.n_clusters)])
    sets = [frozenset(rows.group_ids[rows.clusters == k].tolist()) for k in range(rows.n_clusters)]
    single = [s for s in sets if sets.count(s) == 1]
    together = "sets of one cluster" if len(single) > 1 else max(sets, key=sets.count)
    strata = [s if sets.count(s) > 1 else together for s in sets]
    covariance = np.zeros((added.shape[1], added.shape[1]))
    for stratum in dict.fromkeys(strata):
        own = added[[s == stratum for s in strata]]
        total = own.sum(axis=0)
        covariance += own.T @ own - np.outer(total, total) / len(own)
    return added.sum(axis=0), covariance


def assert_moments(replicates, mean, covariance):
    """Sample moments lie within five of their own Monte-Carlo standard errors."""
    off = replicates.reshape(len(replicates), -1) - mean
    assert np.all(np.abs(off.mean(axis=0)) <= 5 * np.sqrt(np.diag(covariance) / len(off)) + 1e-9)
    error = np.sqrt(np.maximum((off**2).T @ off**2 / len(off) - covariance**2, 0) / len(off))
    assert np.all(np.abs(off.T @ off / len(off) - covariance) <= 5 * error + 1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_moments_are_those_of_a_multinomial_over_clusters(clustered_sample, count, seed):
    rows = clustered_sample(seed)
    assert_moments(replicates_of(rows), *exact_moments(rows, count))


def test_moments_hold_where_some_types_are_common_and_some_rare(clustered_sample, count):
    rows = clustered_sample(9, n_clusters=150, max_size=3, n_groups=2, n_classes=2, mixed=0.2)
    assert_moments(replicates_of(rows), *exact_moments(rows, count))


def test_a_group_whose_clusters_all_hold_other_sets_of_groups_still_varies():
    # six clusters with a right row of group 0 or a wrong one, each with rows of another set of the groups 1, 2, 3
    sets = [[], [1], [2], [3], [1, 2], [2, 3]]
    ids = np.array([g for s in sets for g in [0, *s]])
    clusters = np.array([k for k, s in enumerate(sets) for _ in [0, *s]])
    predicted = np.where((ids == 0) & (clusters % 2 == 1), 1, 0)
    rows = ClusteredRows.of(np.zeros_like(ids), predicted, ids, clusters, n_groups=4, n_classes=2)
    counts = replicates_of(rows, 500)[:, 0, 0]
    assert np.all(counts.sum(axis=1) == 6)
    assert counts[:, 0].std() == pytest.approx(np.sqrt(6 / 4), rel=0.15)


def test_a_single_cluster_that_holds_most_of_a_group_is_not_in_every_replicate():
    # a cluster of 60 rows of either group, beside ten of one row in each
    ids = np.repeat([0, 1, 0, 1], [60, 60, 10, 10])
    clusters = np.concatenate([np.zeros(120, dtype=np.int64), np.arange(1, 21)])
    rows = ClusteredRows.of(np.zeros_like(ids), clusters % 2, ids, clusters, n_groups=2, n_classes=2)
    sizes = replicates_of(rows, 2000)[:, 0].sum(axis=(1, 2))
    assert sizes.min() < 60
    assert sizes.max() > 120
    assert sizes.mean() == pytest.approx(70, rel=0.1)


def test_every_replicate_holds_as_many_rows_of_a_group_where_every_row_is_a_cluster():
    generator = np.random.default_rng(0)
    ids = generator.integers(3, size=200)
    columns = (generator.integers(2, size=200), generator.integers(2, size=200), ids, np.arange(200))
    rows = ClusteredRows.of(*columns, n_groups=3, n_classes=2)
    sizes = replicates_of(rows, 50).sum(axis=(2, 3))
    assert np.all(sizes == np.bincount(ids))


def test_a_cluster_is_drawn_as_a_whole():
    # one group, two clusters: three right rows, or two wrong ones
    rows = ClusteredRows.of(
        np.zeros(5, dtype=np.int64), np.array([0, 0, 0, 1, 1]), np.zeros(5, dtype=np.int64),
        np.array([0, 0, 0, 1, 1]), n_groups=1, n_classes=2,
    )  # fmt: skip
    found = {tuple(counts[0, 0].astype(int)) for counts in replicates_of(rows, 200)}
    assert found == {(6, 0), (3, 2), (0, 4)}


def test_chunks_hold_all_replicates_and_the_same_seed_gives_the_same(clustered_sample, monkeypatch):
    rows = clustered_sample(4)
    monkeypatch.setattr("mindgap.metrics.bootstrap.CHUNK_ENTRIES", 600)
    assert replicates_of(rows, 101).shape == (101, *rows.shape)
    np.testing.assert_array_equal(replicates_of(rows, 101), replicates_of(rows, 101))


def test_no_replicates_are_no_chunks(clustered_sample):
    assert list(bootstrap_counts(clustered_sample(0), replicates=0, generator=np.random.default_rng(0))) == []
