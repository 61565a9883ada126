"""The bootstrap by types against naive resampling of cluster indices."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.metrics.bootstrap import bootstrap_counts
from mindgap.metrics.cluster_types import ClusteredRows

REPLICATES = 20_000


def replicates_of(rows, number=REPLICATES, seed=0):
    return np.concatenate(list(bootstrap_counts(rows, replicates=number, generator=np.random.default_rng(seed))))


def naive_replicates(rows, count, *, number, seed):
    """Index resampling, one replicate at a time: clusters drawn with replacement within their set of groups."""
    generator = np.random.default_rng(seed)
    sets = [frozenset(rows.group_ids[rows.clusters == k].tolist()) for k in range(rows.n_clusters)]
    strata = [np.array([k for k, s in enumerate(sets) if s == one]) for one in dict.fromkeys(sets)]
    found = []
    for _ in range(number):
        drawn = np.concatenate([generator.choice(members, size=len(members)) for members in strata])
        found.append(count(rows, times=np.bincount(drawn, minlength=rows.n_clusters)[rows.clusters]))
    return np.stack(found)


def assert_same_moments(first, second):
    """Means and covariances agree within five standard errors of the smaller sample."""
    flat_first, flat_second = first.reshape(len(first), -1), second.reshape(len(second), -1)
    size = min(len(first), len(second))
    scale = np.sqrt(flat_second.var(axis=0))
    assert np.all(np.abs(flat_first.mean(0) - flat_second.mean(0)) <= 5 * scale * np.sqrt(2 / size) + 1e-9)
    covariance = np.cov(flat_first.T) - np.cov(flat_second.T)
    assert np.all(np.abs(covariance) <= 6 * np.outer(scale, scale) * np.sqrt(6 / size) + 1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_moments_equal_those_of_resampling_cluster_indices(clustered_sample, count, seed):
    rows = clustered_sample(seed)
    assert_same_moments(replicates_of(rows), naive_replicates(rows, count, number=4000, seed=seed))


def test_moments_equal_where_some_types_are_common_and_some_rare(clustered_sample, count):
    rows = clustered_sample(9, n_clusters=150, max_size=3, n_groups=2, n_classes=2, mixed=0.2)
    assert_same_moments(replicates_of(rows), naive_replicates(rows, count, number=4000, seed=1))


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
