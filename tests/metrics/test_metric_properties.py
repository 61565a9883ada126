"""What holds for every metric that is computed from counts, whatever the rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.metrics.counts import GroupCounts, count_rows
from mindgap.metrics.group_sample import GroupSample
from mindgap.metrics.metric import METRICS, class_rates, gap_metrics, group_metrics

UNCHANGED_BY_A_TWIN = (
    "accuracy_difference", "accuracy_ratio", "eopp0", "eopp1", "equalized_odds_abs_mean", "equalized_odds_deo",
    "equalized_odds_fairadabn", "equalized_odds_fairprune", "equalized_odds_pairs_max", "equalized_odds_scp",
    "equalized_odds_worst", "equalized_odds_worst_max", "f1_difference", "selection_rate_difference",
    "selection_rate_ratio", "uei", "worst_group_accuracy",
)  # fmt: skip
"""Ranges, extremes and joint shares: a group split into two alike counts as one. Sums and means over groups do not."""

seeds = st.integers(0, 2**32 - 1)
classes_of = st.sampled_from([("x", "y"), ("x", "y", "z"), ("x", "y", "z", "u")])


def rows(seed, classes, n_groups):
    generator = np.random.default_rng(seed)
    n = int(generator.integers(5 * n_groups * len(classes), 200))
    labels = generator.integers(len(classes), size=n)
    predicted = np.where(generator.random(n) < 0.5, labels, generator.integers(len(classes), size=n))
    return labels, predicted, generator.integers(n_groups, size=n)


def count(labels, predicted, ids, classes, names):
    return count_rows(labels, predicted, ids, groups=tuple(names), classes=classes)


def count_gaps(classes):
    return [metric for metric in gap_metrics(classes) if metric.statistic == "counts"]


def everything(counts):
    """Every figure of one table that counts give, by metric."""
    sample = GroupSample(counts)
    found = {metric.name: metric.value(counts, counts) for metric in count_gaps(counts.classes)}
    groups = [metric for metric in group_metrics(counts.classes) if metric.statistic == "counts"]
    found |= {metric.name: metric.of_groups(sample) for metric in groups}
    return found | {metric.name: metric.rates(counts) for metric in class_rates(counts.classes)}


def tables(seed, classes, n_groups, *, replicates=0):
    shape = (*([replicates] if replicates else []), n_groups, len(classes), len(classes))
    cells = np.random.default_rng(seed).integers(1, 25, size=shape).astype(np.float64)
    return GroupCounts(cells, tuple(f"g{k}" for k in range(n_groups)), classes)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seeds, classes_of, st.integers(2, 4))
def test_the_order_of_rows_changes_nothing(seed, classes, n_groups):
    columns = rows(seed, classes, n_groups)
    order = np.random.default_rng(seed + 1).permutation(len(columns[0]))
    names = "abcd"[:n_groups]
    shuffled = everything(count(*(column[order] for column in columns), classes, names))
    for name, expected in everything(count(*columns, classes, names)).items():
        np.testing.assert_array_equal(shuffled[name], expected, err_msg=name)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seeds, classes_of, st.integers(2, 4))
def test_other_numbers_and_names_of_the_groups_change_no_gap(seed, classes, n_groups):
    labels, predicted, ids = rows(seed, classes, n_groups)
    order = np.random.default_rng(seed + 1).permutation(n_groups)
    before = count(labels, predicted, ids, classes, "abcd"[:n_groups])
    after = count(labels, predicted, order[ids], classes, "stuv"[:n_groups])
    if len(set(before.sizes)) < n_groups:
        return  # which of two smallest groups is the minority depends on their order
    for metric in count_gaps(classes):
        found = metric.value(after, after)
        np.testing.assert_allclose(found, metric.value(before, before), rtol=1e-9, atol=1e-12, err_msg=metric.name)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seeds, classes_of, st.integers(2, 4))
def test_right_predictions_are_ideal_wherever_something_is_defined(seed, classes, n_groups):
    labels, _, ids = rows(seed, classes, n_groups)
    counts = count(labels, labels, ids, classes, "abcd"[:n_groups])
    # two ignore the labels; the other counts the recall of a class that a group lacks as 0, as published
    other = {"selection_rate_difference", "selection_rate_ratio"} | (
        {"equalized_odds_scp"} if (counts.support == 0).any() else set()
    )
    for name, found in everything(counts).items():
        if name in other:
            continue
        defined = found[~np.isnan(found)]
        np.testing.assert_allclose(defined, METRICS.get(name).ideal, atol=1e-12, err_msg=name)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seeds, classes_of, st.integers(2, 4))
def test_merging_identical_groups_keeps_accuracy_and_every_range(seed, classes, n_groups):
    merged = tables(seed, classes, n_groups)
    names = (*merged.groups, "twin")
    halves = np.concatenate([merged.counts[:1] / 2, merged.counts[1:], merged.counts[:1] / 2])
    split = GroupCounts(halves, names, classes)
    assert split.overall_accuracy == pytest.approx(merged.overall_accuracy)
    assert split.accuracy[[0, -1]] == pytest.approx(merged.accuracy[[0, 0]])
    for name in UNCHANGED_BY_A_TWIN:
        metric = METRICS.get(name)()
        expected = metric.value(merged, merged)
        # the index sums roots of shares: two halves of a group add up to the group
        np.testing.assert_allclose(metric.value(split, split), expected, rtol=1e-9, atol=1e-12, err_msg=name)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(seeds, classes_of, st.integers(2, 4))
def test_no_value_moves_further_than_its_distance(seed, classes, n_groups):
    observed = tables(seed, classes, n_groups)
    moved = tables(seed + 1, classes, n_groups, replicates=20)
    for metric in count_gaps(classes):
        if metric.interval != "norm_pivot":
            continue
        step = np.abs(metric.value(moved, observed) - metric.value(observed, observed))
        assert not (step > metric.distance(moved, observed) + 1e-12).any(), metric.name
