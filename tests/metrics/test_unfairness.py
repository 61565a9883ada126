"""Unfairness: the published check values, its properties, and the short functions of a search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.core.groups import Groups
from mindgap.metrics.counts import GroupCounts, count_rows
from mindgap.metrics.metric import METRICS
from mindgap.metrics.unfairness import group_accuracies, unfairness

# Sheng et al. 2024, Table 1: accuracy of light and dark, overall, U as recomputed, U as printed.
TABLE_1 = [
    (0.8190, 0.5926, 0.8169, 0.2264, 0.2264),
    (0.8254, 0.6359, 0.8236, 0.1895, 0.1894),
    (0.8295, 0.6718, 0.8281, 0.1577, 0.1577),
    (0.7654, 0.6102, 0.7640, 0.1552, 0.1551),
    (0.7958, 0.7179, 0.7951, 0.0779, 0.0779),
    (0.8437, 0.6923, 0.8424, 0.1514, 0.1514),
]


def counts_of(accuracies, sizes):
    counts = [[[a * n, (1 - a) * n], [0, 0]] for a, n in zip(accuracies, sizes, strict=True)]
    return GroupCounts(np.array(counts), tuple(f"g{k}" for k in range(len(sizes))), ("right", "wrong"))


def gap(name, counts):
    return float(METRICS.get(name)().value(counts, counts))


@pytest.mark.parametrize(("light", "dark", "overall", "expected", "printed"), TABLE_1)
def test_the_published_accuracies_give_the_published_unfairness(light, dark, overall, expected, printed):
    share = (overall - light) / (dark - light)
    counts = counts_of([light, dark], [1 - share, share])
    assert round(gap("unfairness", counts), 4) == expected
    assert abs(gap("unfairness", counts) - printed) < 1.01e-4


def test_the_published_accuracies_give_the_published_ratio():
    assert round(gap("accuracy_ratio", counts_of([0.8437, 0.6923], [99, 1])), 4) == 0.8206


def as_groups(ids, count=3):
    return Groups("sex", tuple("abcdefgh"[:count]), np.asarray(ids, dtype=np.int64))


rows_strategy = st.integers(0, 2**32 - 1).flatmap(
    lambda seed: st.tuples(st.integers(4, 60), st.integers(2, 4)).map(
        lambda shape: (
            np.random.default_rng(seed).integers(3, size=shape[0]),
            np.random.default_rng(seed + 1).integers(3, size=shape[0]),
            np.random.default_rng(seed + 2).permutation(np.arange(shape[0]) % (shape[1] + 1)) - 1,
            shape[1],
        )
    )
)


@settings(deadline=None, derandomize=True)
@given(rows_strategy)
def test_the_short_functions_agree_with_the_metrics(rows):
    labels, predicted, ids, n_groups = rows
    groups = as_groups(ids, n_groups)
    counts = count_rows(labels, predicted, groups.ids, groups=groups.names, classes=("x", "y", "z"))
    np.testing.assert_allclose(group_accuracies(labels, predicted, groups), counts.accuracy)
    for standardized, name in ((False, "unfairness"), (True, "unfairness_standardized")):
        value, reason = unfairness(labels, predicted, groups, standardized=standardized)
        np.testing.assert_allclose(value, gap(name, counts), rtol=1e-12)
        assert (reason is None) == (not np.isnan(value))


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 20), min_size=2, max_size=6), st.integers(20, 40))
def test_unfairness_is_zero_exactly_where_the_groups_are_equal(hits, size):
    counts = counts_of([h / size for h in hits], [size] * len(hits))
    value = gap("unfairness", counts)
    assert (value < 1e-12) == (len(set(hits)) == 1)
    assert 0 <= value <= len(hits)


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_no_gap_exceeds_its_limits_and_sizes_far_apart_come_near_them(seed, n_groups):
    generator = np.random.default_rng(seed)
    names = tuple(f"g{k}" for k in range(n_groups))
    cells = generator.integers(5, 40, size=(n_groups, 2, 2)) * (generator.random((n_groups, 2, 2)) < 0.5)
    cells[..., 0] += 5 * (cells.sum(axis=-1) == 0)
    counts = GroupCounts(cells.astype(np.float64), names, ("x", "y"))
    extreme = counts_of([0.0] + [1.0] * (n_groups - 1), [1e9] + [1.0] * (n_groups - 1))
    for name in ("unfairness", "unfairness_standardized", "spd"):
        most = METRICS.get(name)().limits(counts)[1]
        assert gap(name, counts) <= most + 1e-12
    assert gap("unfairness", extreme) == pytest.approx(n_groups - 1, abs=1e-6)
    assert METRICS.get("unfairness")().limits(extreme) == (0, n_groups - 1)
    minority_apart = counts_of([0.0] + [1.0] * (n_groups - 1), [1.0] + [9.0] * (n_groups - 1))
    assert gap("spd", minority_apart) == pytest.approx(METRICS.get("spd")().limits(extreme)[1])


def test_an_excluded_group_has_no_term_but_counts_in_the_overall_accuracy():
    labels = np.zeros(10, dtype=np.int64)
    predicted = np.array([0, 0, 0, 1, 0, 0, 1, 1, 1, 1])
    groups = as_groups([0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
    value, reason = unfairness(labels, predicted, groups, exclude=("c",))
    assert value == pytest.approx(abs(0.75 - 0.5) + abs(0.5 - 0.5))
    assert reason is None


def test_an_empty_group_makes_unfairness_undefined_with_a_reason():
    value, reason = unfairness(np.array([0, 1]), np.array([0, 1]), as_groups([0, 1]))
    assert np.isnan(value)
    assert reason == "group 'c' has no rows"


def test_one_group_left_makes_unfairness_undefined_with_a_reason():
    value, reason = unfairness(np.array([0, 1]), np.array([0, 1]), as_groups([0, 1], 2), exclude=("b",))
    assert np.isnan(value)
    assert reason == "fewer than two groups of 'sex' are compared"


def test_standardised_unfairness_is_zero_where_only_the_case_mix_differs():
    # class x is right 9 times in 10 and class y 6 in 10, in both groups; group a has many x, group b many y
    cells = {(0, 0): (90, 10), (0, 1): (12, 8), (1, 0): (18, 2), (1, 1): (60, 40)}
    counts = np.zeros((2, 2, 2))
    for (group, label), (right, wrong) in cells.items():
        counts[group, label, label], counts[group, label, 1 - label] = right, wrong
    both = GroupCounts(counts, ("a", "b"), ("x", "y"))
    assert gap("unfairness", both) == pytest.approx(abs(102 / 120 - 0.75) + abs(78 / 120 - 0.75))
    assert gap("unfairness_standardized", both) == pytest.approx(0, abs=1e-12)


def test_standardised_unfairness_leaves_out_classes_with_under_five_rows_in_a_group():
    counts = np.zeros((2, 2, 2))
    counts[0] = [[40, 10], [0, 10]]
    counts[1] = [[20, 30], [0, 4]]
    both = GroupCounts(counts, ("a", "b"), ("x", "y"))
    assert gap("unfairness_standardized", both) == pytest.approx(abs(0.8 - 0.6) + abs(0.4 - 0.6))
    note = METRICS.get("unfairness_standardized")().note(both)
    assert note == "classes compared: x; left out: y (12.3% of the rows)"


def test_standardised_unfairness_is_undefined_where_it_covers_under_half_of_the_rows():
    counts = np.zeros((2, 2, 2))
    counts[0] = [[10, 0], [0, 60]]
    counts[1] = [[10, 0], [0, 4]]
    both = GroupCounts(counts, ("a", "b"), ("x", "y"))
    metric = METRICS.get("unfairness_standardized")()
    assert np.isnan(metric.value(both, both))
    assert metric.reason(both) == "classes with 5 or more rows in every group hold 24% of the rows, under 50%"
