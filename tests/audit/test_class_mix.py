from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association

from mindgap.audit.class_mix import class_mix_association, label_associations


def mix(labels, group_ids, clusters=None, seed=0, permutations=400):
    labels, group_ids = np.asarray(labels), np.asarray(group_ids)
    clusters = np.arange(len(labels)) if clusters is None else np.asarray(clusters)
    generator = np.random.default_rng(seed)
    return class_mix_association(labels, group_ids, clusters, generator=generator, permutations=permutations)


def test_groups_of_one_class_each_are_told_apart_completely():
    found = mix([0] * 50 + [1] * 50, [0] * 50 + [1] * 50)
    assert found.plain_v == 1
    assert found.v == pytest.approx(1, abs=0.01)
    assert found.p_value == 1 / 401


@settings(deadline=None, derandomize=True, max_examples=20)
@given(st.integers(2, 4), st.integers(2, 4), st.integers(0, 99))
def test_plain_v_is_scipys_and_the_corrected_one_is_bergsmas(n_groups, n_classes, seed):
    generator = np.random.default_rng(seed)
    n = 300
    groups = np.r_[np.arange(n_groups), generator.integers(n_groups, size=n - n_groups)]
    labels = np.r_[np.arange(n_classes), generator.integers(n_classes, size=n - n_classes)]
    labels[: n // 3] = np.minimum(groups[: n // 3], n_classes - 1)
    table = np.zeros((n_groups, n_classes), dtype=np.int64)
    np.add.at(table, (groups, labels), 1)
    found = mix(labels, groups, permutations=600)
    assert found.plain_v == pytest.approx(association(table, method="cramer"))
    phi = chi2_contingency(table, correction=False).statistic / n
    corrected = max(0.0, phi - (n_groups - 1) * (n_classes - 1) / (n - 1))
    dimensions = [k - 1 - (k - 1) ** 2 / (n - 1) for k in (n_groups, n_classes)]
    assert found.v == pytest.approx(math.sqrt(corrected / min(dimensions)), abs=0.03)


def test_images_of_a_cluster_are_not_counted_as_evidence_each():
    """Clusters of five with random class and group: a test on rows calls far too many of them different."""
    by_rows = by_clusters = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        labels = np.repeat(generator.integers(2, size=60), 5)
        groups = np.repeat(generator.integers(2, size=60), 5)
        clusters = np.repeat(np.arange(60), 5)
        by_clusters += mix(labels, groups, clusters, seed=seed, permutations=200).p_value <= 0.05
        by_rows += mix(labels, groups, seed=seed, permutations=200).p_value <= 0.05
    assert by_clusters <= 20  # 10 expected
    assert by_rows >= 40


def test_without_an_association_the_corrected_v_is_near_zero_where_the_plain_one_is_not():
    generator = np.random.default_rng(0)
    found = mix(generator.integers(7, size=200), generator.integers(10, size=200))
    assert found.plain_v > 0.15
    assert found.v < 0.1


def test_clusters_of_several_groups_and_rare_sizes_take_part():
    generator = np.random.default_rng(0)
    clusters = np.sort(generator.integers(40, size=200))
    groups = generator.integers(3, size=200)
    found = mix(groups, groups, clusters)
    assert found.v > 0.9
    assert found.p_value < 0.01
    assert found.clusters == len(np.unique(clusters))


def test_rows_of_unknown_group_do_not_count_and_one_group_is_no_comparison():
    found = mix([0, 1] * 20, [-1, 0] * 20)
    assert math.isnan(found.v)
    assert found.n == 20
    assert found.reason == "fewer than two groups have images"
    assert mix([0] * 10, [0, 1] * 5).reason == "fewer than two classes have images"


def test_a_permutation_changes_nothing_but_rounding():
    generator = np.random.default_rng(3)
    labels, groups = generator.integers(3, size=300), generator.integers(2, size=300)
    order = generator.permutation(300)
    assert mix(labels[order], groups[order]).plain_v == pytest.approx(mix(labels, groups).plain_v)


def test_without_permutations_only_the_plain_v_is_known():
    found = mix([0, 1] * 20, [0, 0, 1, 1] * 10, permutations=0)
    assert found.plain_v == pytest.approx(0)
    assert math.isnan(found.v)
    assert math.isnan(found.p_value)
    assert found.reason == "no permutations were asked for"


def test_labels_together_are_what_each_is_alone():
    generator = np.random.default_rng(2)
    groups, clusters = generator.integers(-1, 3, size=400), np.sort(generator.integers(150, size=400))
    labels = (generator.random((400, 3)) < [0.1, 0.5, 1.1]).astype(np.uint8)
    labels[groups == 2, 1] = 1
    found = label_associations(labels, groups, clusters, generator=np.random.default_rng(0), permutations=100)
    for k in range(2):
        assert found[k] == mix(labels[:, k], groups, clusters, permutations=100)
    assert found[1].v > 0.3
    assert found[2].reason == "fewer than two classes have images"
