from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.core.errors import ConfigError, ShapeError
from mindgap.core.groups import Groups
from mindgap.data.split import SPLITS, cluster_disjoint_split, cluster_folds, cluster_numbers

QUICK = settings(deadline=None, derandomize=True, max_examples=60)


def group_of(ids, names=("a", "b", "c")) -> Groups:
    return Groups("g", names, np.asarray(ids, dtype=np.int64))


@st.composite
def tables(draw):
    n = draw(st.integers(6, 80))
    seed = draw(st.integers(0, 999))
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, draw(st.integers(3, n)), n)
    labels = rng.integers(0, draw(st.integers(1, 4)), n)
    ids = rng.integers(-1, 3, n)
    return labels, group_of(ids), clusters, seed


@QUICK
@given(tables())
def test_no_cluster_is_cut_and_every_class_and_group_is_in_train(table):
    labels, groups, clusters, seed = table
    parts = cluster_disjoint_split(labels, groups, clusters=clusters, seed=seed)
    assert all(len(set(parts[clusters == cluster])) == 1 for cluster in np.unique(clusters))
    train = parts == "train"
    assert set(labels[train]) == set(labels)
    assert set(groups.ids[train & groups.known]) == set(groups.ids[groups.known])


@QUICK
@given(tables(), st.integers(2, 3))
def test_folds_cut_no_cluster_and_fill_every_fold(table, k):
    labels, groups, clusters, seed = table
    if len(np.unique(clusters)) < k:
        return
    folds = cluster_folds(labels, [groups], clusters=clusters, k=k, seed=seed)
    assert all(len(set(folds[clusters == cluster])) == 1 for cluster in np.unique(clusters))
    assert set(folds) == set(range(k))


@QUICK
@given(tables())
def test_the_same_table_and_seed_give_the_same_split(table):
    labels, groups, clusters, seed = table
    first = cluster_disjoint_split(labels, groups, clusters=clusters, seed=seed)
    assert np.array_equal(first, cluster_disjoint_split(labels, groups, clusters=clusters, seed=seed))


def test_shares_hold_in_every_class_and_class_by_group():
    rng = np.random.default_rng(0)
    labels, ids = rng.choice(5, 4000, p=[0.6, 0.2, 0.1, 0.07, 0.03]), rng.choice(3, 4000, p=[0.8, 0.15, 0.05])
    parts = cluster_disjoint_split(labels, group_of(ids), clusters=np.arange(4000) // 2)
    for label in range(5):
        share = (parts[labels == label] == "train").mean()
        assert share == pytest.approx(0.7, abs=0.03)
        for group in range(3):
            cell = (labels == label) & (ids == group)
            assert abs((parts[cell] == "test").sum() - 0.15 * cell.sum()) <= 3


def test_a_group_of_one_image_stays_in_train():
    labels = np.tile([0, 1], 50)
    ids = np.zeros(100, dtype=np.int64)
    ids[37] = 1
    for seed in range(20):
        parts = cluster_disjoint_split(labels, group_of(ids), clusters=np.arange(100), seed=seed)
        assert parts[37] == "train"


def test_a_class_of_three_clusters_is_in_every_split():
    labels = np.zeros(300, dtype=np.int64)
    labels[[10, 99, 205]] = 1
    for seed in range(20):
        parts = cluster_disjoint_split(labels, group_of(np.zeros(300)), clusters=np.arange(300), seed=seed)
        assert set(parts[labels == 1]) == set(SPLITS)


def test_seeds_give_different_splits():
    labels = np.tile([0, 1], 100)
    one, two = (cluster_disjoint_split(labels, (), clusters=np.arange(200), seed=seed) for seed in (0, 1))
    assert not np.array_equal(one, two)


def test_a_share_of_nothing_gets_nothing():
    labels = np.tile([0, 1], 50)
    parts = cluster_disjoint_split(labels, (), clusters=np.arange(100), shares=(0.8, 0.2, 0.0))
    assert pd.Series(parts).value_counts().to_dict() == {"train": 80, "validation": 20}


def test_multi_label_rows_are_spread_by_each_label():
    rng = np.random.default_rng(1)
    labels = (rng.random((2000, 4)) < [0.5, 0.2, 0.05, 0.9]).astype(np.uint8)
    parts = cluster_disjoint_split(labels, group_of(rng.integers(0, 2, 2000)), clusters=np.arange(2000))
    for label in labels.T:
        assert (parts[label == 1] == "test").mean() == pytest.approx(0.15, abs=0.015)


@pytest.mark.parametrize("shares", [(0.7, 0.3), (0.5, 0.2, 0.2), (0, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(ConfigError, match="summing to 1"):
        cluster_disjoint_split(np.array([0, 1]), (), clusters=np.arange(2), shares=shares)


def test_impossible_folds_and_lengths_are_refused():
    with pytest.raises(ConfigError, match="there are 2"):
        cluster_folds(np.array([0, 1, 0]), (), clusters=np.array([0, 0, 1]), k=3)
    with pytest.raises(ShapeError, match="same length"):
        cluster_disjoint_split(np.array([0, 1, 0]), (), clusters=np.arange(2))


def test_a_row_without_a_cluster_is_its_own():
    assert cluster_numbers(pd.Series(["x", None, "y", "x", None])).tolist() == [0, 2, 1, 0, 3]


def test_lesions_of_ham10000_stay_together_and_classes_near_their_shares(shared_data):
    table = pd.read_csv(shared_data / "ham10000" / "metadata.csv")
    labels = pd.Categorical(table["dx"]).codes.astype(np.int64)
    sex = group_of(pd.Index(["female", "male"]).get_indexer_for(table["sex"]), ("female", "male"))
    age = group_of(np.where(table["age"].isna(), -1, np.digitize(table["age"], [30, 60])))
    clusters = cluster_numbers(table["lesion_id"])
    parts = cluster_disjoint_split(labels, [age, sex], clusters=clusters)
    assert pd.Series(parts).groupby(clusters).nunique().max() == 1
    for share, part in zip((0.7, 0.15, 0.15), SPLITS, strict=True):
        for codes in (labels, sex.ids, age.ids):
            for code in np.unique(codes):
                cell = codes == code
                assert abs((parts[cell] == part).mean() - share) <= max(0.02, 2 / cell.sum())
    folds = cluster_folds(labels, [age, sex], clusters=clusters, k=10)
    assert pd.Series(folds).groupby(clusters).nunique().max() == 1
    counts = pd.crosstab(labels, folds)
    assert (counts.max(axis=1) - counts.min(axis=1) <= np.maximum(4, 0.05 * counts.mean(axis=1))).all()
