"""Every registered metric, and hand-computed cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.metrics.counts import GroupCounts
from mindgap.metrics.metric import METRICS, gap_metrics
from mindgap.metrics.resampling import Resampling
from mindgap.testing.metric import MetricConformance


class TestEveryMetric(MetricConformance):
    @pytest.fixture(params=METRICS.names())
    def name(self, request):
        return request.param


NOT_ABOUT_GROUPS = {"uei", "worst_group_accuracy", "worst_group_auroc"}
"""They compare with the labels, or with perfection, and are not ideal just because groups are alike."""


def value(name, counts):
    return float(METRICS.get(name)().value(counts, counts))


HAND = GroupCounts(
    np.array([[[6.0, 2.0], [1.0, 1.0]], [[3.0, 1.0], [0.0, 1.0]], [[1.0, 4.0], [2.0, 3.0]]]),
    ("a", "b", "c"),
    ("x", "y"),
)  # accuracies .7, .8, .4 of 10, 5 and 10 rows; overall 15/25 = .6


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unfairness", 0.1 + 0.2 + 0.2),
        ("accuracy_ratio", 0.4 / 0.8),
        ("accuracy_difference", 0.4),
        ("worst_group_accuracy", 0.4),
        ("spd", (0.1 + 0.0 + 0.4) / 3),  # the minority is b
        ("f1_difference", (6 / 7 + 2 / 3) / 2 - (2 / 8 + 6 / 12) / 2),
        # selected x: .7 .6 .3, y: .3 .4 .7
        ("selection_rate_ratio", (0.3 / 0.7 + 0.3 / 0.7) / 2),
        ("selection_rate_difference", 0.4),
        # x: TPR .75 .75 .2, FPR .5 0 .4; y: TPR .5 1 .6, FPR .25 .25 .8
        ("equalized_odds_abs_mean", ((0.55 + 0.5) / 2 + (0.5 + 0.55) / 2) / 2),
    ],
)
def test_a_hand_computed_table(name, expected):
    assert value(name, HAND) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("accuracy", 0.7), ("balanced_accuracy", (0.75 + 0.5) / 2), ("macro_f1", (12 / 15 + 0.4) / 2)],
)
def test_a_hand_computed_group(name, expected):
    assert METRICS.get(name)().value(HAND.counts)[0] == pytest.approx(expected)


def test_a_group_without_a_class_is_averaged_over_the_classes_it_has():
    confusion = np.array([[3.0, 1.0], [0.0, 0.0]])
    assert METRICS.get("balanced_accuracy")().value(confusion) == pytest.approx(0.75)
    assert METRICS.get("macro_f1")().value(confusion) == pytest.approx(6 / 7)


def test_equalised_odds_leave_out_classes_that_a_group_lacks_and_list_them():
    counts = HAND.counts.copy()
    counts[1, 1] = 0
    metric = METRICS.get("equalized_odds_abs_mean")()
    lacking = GroupCounts(counts, ("a", "b", "c"), ("x", "y"))
    assert np.isnan(metric.value(lacking, lacking))
    assert metric.reason(lacking) == "no class has positives and negatives in every group"
    assert metric.note(lacking) == ("classes left out (x: no negatives in group 'b'; y: no positives in group 'b')")


def test_a_class_that_is_never_predicted_is_left_out_of_the_selection_rates():
    counts = np.zeros((2, 3, 3))
    counts[0, :2, :2] = [[6, 2], [1, 1]]
    counts[1, :2, :2] = [[3, 1], [4, 2]]
    counts[:, 2, 0] = 1
    three = GroupCounts(counts, ("a", "b"), ("x", "y", "z"))
    rates = np.array([[8 / 11, 8 / 11], [3 / 11, 3 / 11]])
    assert value("selection_rate_ratio", three) == pytest.approx((rates.min(1) / rates.max(1)).mean())
    assert METRICS.get("selection_rate_ratio")().note(three) == "classes left out (z: never predicted)"


def test_an_accuracy_of_zero_everywhere_has_no_ratio():
    wrong = GroupCounts(np.array([[[0.0, 2.0], [2.0, 0.0]]] * 2), ("a", "b"), ("x", "y"))
    assert np.isnan(value("accuracy_ratio", wrong))
    assert METRICS.get("accuracy_ratio")().reason(wrong) == "no row of any group is predicted right"


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 3))
def test_groups_treated_alike_have_no_gap(seed, n_classes):
    generator = np.random.default_rng(seed)
    labels = np.append(np.arange(n_classes), generator.integers(n_classes, size=20))
    chances = generator.dirichlet(np.ones(n_classes), len(labels))
    sizes = (1, 2, 5)  # the same rows, so often in each group
    ids = np.repeat(np.arange(3), [len(labels) * size for size in sizes])
    alike = Resampling.of(
        np.tile(labels, 8), np.tile(chances.argmax(1), 8), ids, np.arange(len(ids)), groups=("a", "b", "c"),
        classes=("x", "y", "z")[:n_classes], probabilities=np.tile(chances, (8, 1)),
    ).observed  # fmt: skip
    undefined = {"equalized_odds_medfair"} if n_classes != 2 else set()
    for metric in gap_metrics(alike.counts.classes):
        if metric.name not in NOT_ABOUT_GROUPS | undefined:
            observed = getattr(alike, metric.statistic)
            assert float(metric.value(observed, observed)) == pytest.approx(metric.ideal, abs=1e-12)


def test_the_worst_groups_n_is_that_group_and_its_distance_is_the_largest_move_of_a_group():
    metric = METRICS.get("worst_group_accuracy")()
    assert metric.rows(HAND) == 10
    moved = GroupCounts(HAND.counts[[1, 0, 2]], HAND.groups, HAND.classes)  # accuracies .8, .7, .4
    assert float(metric.distance(moved, HAND)) == pytest.approx(0.1)
    assert float(metric.value(moved, HAND)) == pytest.approx(0.4)


def test_rows_per_class_are_those_of_the_smallest_cell():
    odds, ratio = METRICS.get("equalized_odds_abs_mean")(), METRICS.get("selection_rate_ratio")()
    assert [odds.class_rows(HAND, k) for k in (0, 1)] == [1, 1]  # one row of group b is y
    assert [ratio.class_rows(HAND, k) for k in (0, 1)] == [5, 5]


def test_equalised_odds_are_undefined_in_a_replicate_that_lost_a_class():
    metric = METRICS.get("equalized_odds_abs_mean")()
    three = GroupCounts(np.ones((2, 3, 3)), ("a", "b"), ("x", "y", "z"))
    lost = np.ones((2, 2, 3, 3))
    lost[1, 0, 2] = 0
    replicates = three.replicates(lost)
    assert np.isnan(metric.value(replicates, three)).tolist() == [False, True]
    assert np.isnan(metric.distance(replicates, three)).tolist() == [False, True]


def test_a_difference_of_macro_f1_is_undefined_in_a_replicate_that_lost_a_class():
    metric = METRICS.get("f1_difference")()
    two = GroupCounts(np.ones((2, 2, 2)), ("a", "b"), ("x", "y"))
    lost = np.ones((2, 2, 2, 2))
    lost[1, 0, 1] = 0
    assert np.isnan(metric.distance(two.replicates(lost), two)).tolist() == [False, True]


def test_a_class_never_predicted_in_one_group_leaves_no_interval_of_the_mean_ratio():
    counts = np.array([[[6.0, 2.0], [1.0, 1.0]], [[4.0, 0.0], [1.0, 0.0]]])
    metric = METRICS.get("selection_rate_ratio")()
    lacking = GroupCounts(counts, ("a", "b"), ("x", "y"))
    assert metric.no_interval(lacking) == "no interval: class 'y' is never predicted in group 'b'"
    assert metric.no_interval(HAND) is None


def test_a_mean_of_ratios_rises_by_more_than_it_falls():
    # both ratios .3/.7; the first class's may move by log 2 either way: the mean of 1/2, 1 is 3/4, that of 2, 1 is 3/2
    metric = METRICS.get("selection_rate_ratio")()
    move = np.array([[np.log(2), 0.0]])
    assert metric.fall(np.array([0.3, 0.3]), move) == pytest.approx(-np.log(0.75))
    assert metric.rise(np.array([0.3, 0.3]), move) == pytest.approx(np.log(1.5))
    moved = GroupCounts(HAND.counts[[1, 0, 2]], HAND.groups, HAND.classes)
    assert metric.upper_distance(moved, HAND) >= metric.distance(moved, HAND)
