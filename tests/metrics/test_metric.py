"""Every registered metric, and each one's hand-computed case and oracle."""

from __future__ import annotations

import fairlearn.metrics as fl
import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.metrics.counts import GroupCounts, count_rows
from mindgap.metrics.metric import METRICS, gap_metrics, group_metrics
from mindgap.testing.metric import MetricConformance


class TestEveryMetric(MetricConformance):
    @pytest.fixture(params=METRICS.names())
    def name(self, request):
        return request.param


def value(name, counts):
    return float(METRICS.get(name)().value(counts, counts))


def random_rows(seed, *, n=300, n_classes=4, n_groups=3):
    generator = np.random.default_rng(seed)
    labels = generator.choice(n_classes, size=n, p=np.arange(1, n_classes + 1) / (n_classes * (n_classes + 1) / 2))
    predicted = np.where(generator.random(n) < 0.6, labels, generator.integers(n_classes, size=n))
    return labels, predicted, generator.integers(n_groups, size=n)


def counts_from(labels, predicted, ids):
    groups = tuple(f"g{k}" for k in range(int(ids.max()) + 1))
    classes = tuple(f"c{k}" for k in range(int(max(labels.max(), predicted.max())) + 1))
    return count_rows(labels, predicted, ids, groups=groups, classes=classes)


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


@pytest.mark.parametrize("seed", range(5))
def test_group_metrics_agree_with_scikit_learn(seed):
    labels, predicted, ids = random_rows(seed)
    counts = counts_from(labels, predicted, ids)
    for g in range(3):
        true, seen = labels[ids == g], predicted[ids == g]
        found = {metric.name: metric.value(counts.counts)[g] for metric in group_metrics()}
        assert found["accuracy"] == pytest.approx(sk.accuracy_score(true, seen))
        assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(true, seen))
        macro = sk.f1_score(true, seen, average="macro", labels=np.unique(true))
        assert found["macro_f1"] == pytest.approx(macro)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_groups", [2, 4])
def test_binary_gaps_agree_with_fairlearn(seed, n_groups):
    labels, predicted, ids = random_rows(seed, n_classes=2, n_groups=n_groups)
    counts = counts_from(labels, predicted, ids)
    odds = METRICS.get("equalized_odds_abs_mean")()
    ratio = METRICS.get("selection_rate_ratio")()
    for k in (0, 1):
        known = {"y_true": labels == k, "y_pred": predicted == k, "sensitive_features": ids}
        assert odds.class_value(counts, counts)[k] == pytest.approx(fl.equalized_odds_difference(**known, agg="mean"))
        assert ratio.class_value(counts, counts)[k] == pytest.approx(fl.demographic_parity_ratio(**known))
    frame = fl.MetricFrame(metrics=sk.accuracy_score, y_true=labels, y_pred=predicted, sensitive_features=ids)
    assert value("accuracy_difference", counts) == pytest.approx(frame.difference())
    assert value("accuracy_ratio", counts) == pytest.approx(frame.ratio())
    assert value("worst_group_accuracy", counts) == pytest.approx(frame.group_min())


@pytest.mark.parametrize("seed", range(3))
def test_multi_class_selection_rates_agree_with_fairlearn_one_against_the_rest(seed):
    labels, predicted, ids = random_rows(seed)
    counts = counts_from(labels, predicted, ids)
    ratios = [
        fl.demographic_parity_ratio(y_true=labels == k, y_pred=predicted == k, sensitive_features=ids) for k in range(4)
    ]
    assert value("selection_rate_ratio", counts) == pytest.approx(np.mean(ratios))


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


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_groups_treated_alike_have_no_gap(seed):
    table = np.random.default_rng(seed).integers(1, 20, size=(3, 3)).astype(np.float64)
    alike = GroupCounts(np.stack([table, 2 * table, 5 * table]), ("a", "b", "c"), ("x", "y", "z"))
    for metric in gap_metrics():
        if metric.name != "worst_group_accuracy":
            assert float(metric.value(alike, alike)) == pytest.approx(metric.ideal, abs=1e-12)


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
