"""The split of unfairness into case mix and what happens within classes, and F1 of the positive class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.metrics.case_mix import case_mix_deviations, within_class_deviations
from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.counts import GroupCounts, count_rows
from mindgap.metrics.group_sample import GroupSample
from mindgap.metrics.metric import METRICS, gap_metrics, group_metrics
from mindgap.metrics.noise_floor import permuted_counts
from mindgap.metrics.unfairness import deviations


def value(name, counts):
    return float(METRICS.get(name)().value(counts, counts))


def case_mix_only():
    """Class x is right 9 times in 10 and class y 6 in 10, in both groups; a has 5 x for each y, b the other way."""
    return GroupCounts(np.array([[[90.0, 10.0], [8.0, 12.0]], [[18.0, 2.0], [40.0, 60.0]]]), ("a", "b"), ("x", "y"))


def test_groups_treated_alike_differ_by_case_mix_only():
    counts = case_mix_only()
    assert value("unfairness_case_mix", counts) == pytest.approx(0.2)
    assert value("unfairness_case_mix", counts) == pytest.approx(value("unfairness", counts))
    assert value("unfairness_within_class", counts) == pytest.approx(0, abs=1e-12)


def test_groups_of_the_same_case_mix_differ_within_classes_only():
    counts = GroupCounts(np.array([[[90.0, 10.0], [0, 0]], [[70.0, 30.0], [0, 0]]]), ("a", "b"), ("x", "y"))
    assert value("unfairness_within_class", counts) == pytest.approx(0.2)
    assert value("unfairness_case_mix", counts) == pytest.approx(0, abs=1e-12)


def random_counts(seed, n_groups, n_classes):
    generator = np.random.default_rng(seed)
    shape = (n_groups, n_classes, n_classes)
    cells = (generator.integers(1, 30, size=shape) * (generator.random(shape) < 0.5)).astype(np.float64)
    cells[:, 0, 0] += 1
    return GroupCounts(cells, tuple(f"g{k}" for k in range(n_groups)), tuple(f"c{k}" for k in range(n_classes)))


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 5))
def test_the_two_parts_add_up_to_the_deviations_and_bound_unfairness(seed, n_groups, n_classes):
    counts = random_counts(seed, n_groups, n_classes)
    parts = case_mix_deviations(counts) + within_class_deviations(counts)
    np.testing.assert_allclose(parts, deviations(counts), atol=1e-13)
    total = value("unfairness_case_mix", counts) + value("unfairness_within_class", counts)
    assert value("unfairness", counts) <= total + 1e-12
    for name in ("unfairness_case_mix", "unfairness_within_class"):
        assert value(name, counts) <= METRICS.get(name)().limits(counts)[1] + 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_permuting_groups_within_classes_leaves_the_case_mix_part_as_it_is(seed):
    generator = np.random.default_rng(seed)
    labels, ids = generator.integers(3, size=200), generator.integers(3, size=200)
    predicted = np.where(generator.random(200) < 0.7, labels, generator.integers(3, size=200))
    groups, classes = ("a", "b", "c"), ("x", "y", "z")
    observed = count_rows(labels, predicted, ids, groups=groups, classes=classes)
    rows = ClusteredRows.of(labels, predicted, ids, np.arange(200), n_groups=3, n_classes=3)
    permuted = observed.replicates(np.concatenate(list(permuted_counts(rows, replicates=20, generator=generator))))
    found = METRICS.get("unfairness_case_mix")().value(permuted, observed)
    np.testing.assert_allclose(found, value("unfairness_case_mix", observed), rtol=1e-12)


def test_a_class_that_no_group_has_or_one_group_lacks_leaves_nothing_out():
    counts = np.zeros((2, 3, 3))
    counts[0, 0] = [8, 2, 0]
    counts[1, 1] = [5, 5, 0]
    both = GroupCounts(counts, ("a", "b"), ("x", "y", "z"))
    assert value("unfairness_case_mix", both) == pytest.approx(0.3)
    assert value("unfairness_within_class", both) == 0


def binary_groups():
    """F1 of y: 8/9, 4/6, and undefined in c, which has no positives."""
    counts = np.array([[[3.0, 1.0], [0.0, 4.0]], [[3.0, 1.0], [1.0, 2.0]], [[3.0, 1.0], [0.0, 0.0]]])
    return GroupCounts(counts, ("a", "b", "c"), ("x", "y"))


def test_f1_is_that_of_the_second_class():
    metric = METRICS.get("positive_f1")()
    np.testing.assert_allclose(metric.value(binary_groups().counts), [8 / 9, 2 / 3, np.nan])
    assert metric.reason(GroupSample(binary_groups()), 2) == "no positives"
    two = binary_groups().keep(np.array([True, True, False]))
    assert value("positive_f1_difference", two) == pytest.approx(8 / 9 - 2 / 3)
    assert METRICS.get("positive_f1_difference")().reason(binary_groups()) == "no positives in group 'c'"


def test_f1_of_the_positive_class_is_absent_where_there_are_more_than_two():
    two, three = ("x", "y"), ("x", "y", "z")
    listed = {metric.name for metric in (*group_metrics(two), *gap_metrics(two))}
    assert {"positive_f1", "positive_f1_difference", "equalized_odds_medfair"} <= listed
    left = {metric.name for metric in (*group_metrics(three), *gap_metrics(three))}
    assert listed - left == {"positive_f1", "positive_f1_difference"}
    assert {metric.name for metric in (*group_metrics(), *gap_metrics())} == listed
    alike = random_counts(0, 3, 3)
    for name in ("positive_f1", "positive_f1_difference"):
        metric = METRICS.get(name)()
        seen = (GroupSample(alike), 0) if name == "positive_f1" else (alike,)
        assert metric.reason(*seen) == "defined for two classes only, here 3"
    assert np.isnan(METRICS.get("positive_f1")().value(alike.counts)).all()
    assert np.isnan(value("positive_f1_difference", alike))
