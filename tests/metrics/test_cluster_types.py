from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.metrics.cluster_types import ClusteredRows, cluster_types, sequence_ids


def test_the_docstrings_example():
    owners, tokens = np.array([0, 0, 1, 2, 2]), np.array([5, 7, 5, 5, 7])
    assert sequence_ids(owners, tokens, n_owners=3).tolist() == [1, 0, 1]


@settings(deadline=None, derandomize=True)
@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=1, max_size=40))
def test_owners_share_a_number_exactly_where_their_sequences_are_equal(sequences):
    owners = np.repeat(np.arange(len(sequences)), [len(s) for s in sequences])
    ids = sequence_ids(owners, np.concatenate(sequences).astype(np.int64), n_owners=len(sequences))
    for a, first in zip(ids, sequences, strict=True):
        for b, second in zip(ids, sequences, strict=True):
            assert (a == b) == (first == second)


@pytest.mark.parametrize("seed", range(5))
def test_types_add_up_to_the_sample(clustered_sample, count, seed):
    rows = clustered_sample(seed)
    types = cluster_types(rows)
    assert types.sizes.sum() == rows.n_clusters
    whole = types.contributions.accumulate(types.sizes[None].astype(np.float64)).reshape(rows.shape)
    np.testing.assert_array_equal(whole, count(rows))


def test_a_types_stratum_is_its_set_of_groups():
    rows = ClusteredRows.of(
        np.zeros(8, dtype=np.int64),
        np.array([0, 1, 0, 0, 1, 0, 0, 1]),
        np.array([0, 0, 1, 0, 1, 1, 0, 1]),
        np.array([10, 11, 12, 13, 13, 14, 15, 15]),
        n_groups=2,
        n_classes=2,
    )
    types = cluster_types(rows)
    # four types: group 0 right, group 0 wrong, group 1 right (twice), both groups (twice)
    assert sorted(types.sizes.tolist()) == [1, 1, 2, 2]
    by_stratum = [types.sizes[types.strata == s].sum() for s in np.unique(types.strata)]
    assert sorted(by_stratum) == [2, 2, 2]


def test_rows_of_unknown_group_are_left_out():
    ids = np.array([0, -1, 1])
    rows = ClusteredRows.of(np.array([0, 1, 1]), np.array([0, 1, 0]), ids, np.array([7, 7, 7]), n_groups=2, n_classes=2)
    assert rows.labels.tolist() == [0, 1]
    assert rows.n_clusters == 1
