"""The conventions of equalised odds: hand-computed tables, how they are ordered, and what they leave out."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.metrics.counts import GroupCounts
from mindgap.metrics.metric import METRICS

CONVENTIONS = (
    "equalized_odds_abs_mean", "equalized_odds_worst", "equalized_odds_worst_max", "equalized_odds_fairprune",
    "equalized_odds_scp", "equalized_odds_fairadabn", "equalized_odds_deo", "equalized_odds_pairs_max",
    "equalized_odds_pairs_mean", "eopp0", "eopp1",
)  # fmt: skip
LEAVING_OUT = tuple(name for name in CONVENTIONS if name != "equalized_odds_scp")


def value(name, counts, observed=None):
    return METRICS.get(name)().value(counts, observed or counts)


def binary(*rates, rows=100):
    """Groups of as many positives (class y) as negatives (class x), by their (TPR, FPR) of y."""
    tables = [[[rows * (1 - fpr), rows * fpr], [rows * (1 - tpr), rows * tpr]] for tpr, fpr in rates]
    return GroupCounts(np.array(tables), tuple("abcdef"[: len(rates)]), ("x", "y"))


HAND = GroupCounts(
    np.array([[[6.0, 2.0], [1.0, 1.0]], [[3.0, 1.0], [0.0, 1.0]], [[1.0, 4.0], [2.0, 3.0]]]),
    ("a", "b", "c"),
    ("x", "y"),
)  # x: TPR .75 .75 .2, FPR .5 0 .4; y: TPR .5 1 .6, FPR .25 .25 .8


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("equalized_odds_worst", (0.55 + 0.55) / 2),
        ("equalized_odds_worst_max", 0.55),
        ("equalized_odds_deo", 0.55),
        # TPR + FPR of x: 1.25 .75 .6, of y: .75 1.25 1.4
        ("equalized_odds_fairprune", 0.65 + 0.65),
        ("equalized_odds_scp", (0.65 + 0.65) / 2 / 2),
        # TPR + TNR of x: 1.25 1.75 .8, of y: 1.25 1.75 .8
        ("equalized_odds_fairadabn", (0.95 + 0.95) / 2),
        # |ΔTPR| + |ΔFPR| of x: ab .5, ac .65, bc .95; of y: ab .5, ac .65, bc .95
        ("equalized_odds_pairs_max", 0.95 / 2),
        ("equalized_odds_pairs_mean", (0.5 + 0.65 + 0.95) / 3 / 2),
        ("equalized_odds_medfair", 1 - (0.5 + 0.55) / 2),
        ("eopp0", (0.5 + 0.55) / 2),
        ("eopp1", (0.55 + 0.5) / 2),
    ],
)
def test_a_hand_computed_table(name, expected):
    assert value(name, HAND) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("equalized_odds_abs_mean", 0.15),
        ("equalized_odds_worst", 0.2),
        ("equalized_odds_worst_max", 0.2),
        ("equalized_odds_fairprune", 0.6),
        ("equalized_odds_scp", 0.15),
        ("equalized_odds_fairadabn", 0.1),
        ("equalized_odds_medfair", 0.85),
        ("equalized_odds_deo", 0.2),
        ("equalized_odds_pairs_max", 0.15),
        ("equalized_odds_pairs_mean", 0.15),
        ("eopp0", 0.15),
        ("eopp1", 0.15),
    ],
)
def test_two_groups_of_the_docstrings(name, expected):
    # TPRs .9 and .7, FPRs .2 and .1 of y; of x they are the complements
    assert value(name, binary((0.9, 0.2), (0.7, 0.1))) == pytest.approx(expected)


def test_three_groups_of_the_docstrings_of_the_pairs():
    counts = binary((0.9, 0.1), (0.7, 0.1), (0.8, 0.3))
    assert value("equalized_odds_pairs_max", counts) == pytest.approx(0.15)
    assert value("equalized_odds_pairs_mean", counts) == pytest.approx((0.1 + 0.15 + 0.15) / 3)


def test_true_and_false_positives_may_cancel_in_three_of_the_conventions():
    up_and_down, both_up = binary((0.9, 0.1), (0.7, 0.3)), binary((0.9, 0.3), (0.7, 0.1))
    assert value("equalized_odds_fairprune", up_and_down) == pytest.approx(0, abs=1e-12)
    assert value("equalized_odds_scp", up_and_down) == pytest.approx(0, abs=1e-12)
    assert value("equalized_odds_fairadabn", both_up) == pytest.approx(0, abs=1e-12)
    assert value("equalized_odds_abs_mean", up_and_down) == pytest.approx(0.2)
    assert value("equalized_odds_abs_mean", both_up) == pytest.approx(0.2)


def random_counts(seed, *, n_groups, n_classes=3):
    cells = np.random.default_rng(seed).integers(1, 30, size=(n_groups, n_classes, n_classes))
    names = tuple(f"g{k}" for k in range(n_groups))
    return GroupCounts(cells.astype(np.float64), names, tuple("xyzuv"[:n_classes]))


seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None, derandomize=True)
@given(seeds, st.integers(2, 5))
def test_the_pairs_are_those_of_an_explicit_loop(seed, n_groups):
    counts = random_counts(seed, n_groups=n_groups)
    tpr, fpr = counts.true_positive_rate, counts.false_positive_rate
    pairs = np.stack(
        [np.abs(tpr[i] - tpr[j]) / 2 + np.abs(fpr[i] - fpr[j]) / 2 for i, j in combinations(range(n_groups), 2)]
    )
    assert value("equalized_odds_pairs_max", counts) == pytest.approx(pairs.max(axis=0).mean())
    assert value("equalized_odds_pairs_mean", counts) == pytest.approx(pairs.mean(axis=0).mean())


@settings(deadline=None, derandomize=True)
@given(seeds, st.integers(2, 5), st.integers(2, 4))
def test_the_conventions_are_ordered_as_their_formulas_say(seed, n_groups, n_classes):
    counts = random_counts(seed, n_groups=n_groups, n_classes=n_classes)
    v = {name.removeprefix("equalized_odds_"): float(value(name, counts)) for name in CONVENTIONS}
    slack = 1e-12
    assert v["pairs_mean"] <= v["pairs_max"] + slack <= v["abs_mean"] + 2 * slack
    assert v["abs_mean"] <= v["worst"] + slack <= 2 * v["abs_mean"] + 2 * slack
    assert v["worst"] <= v["worst_max"] + slack
    assert v["deo"] <= v["worst_max"] + slack
    assert v["abs_mean"] == pytest.approx((v["eopp0"] + v["eopp1"]) / 2)
    assert v["scp"] == pytest.approx(v["fairprune"] / n_classes / 2)
    assert max(v["scp"], v["fairadabn"] / 2) <= v["pairs_max"] + slack
    if n_groups == 2:
        assert v["pairs_mean"] == pytest.approx(v["pairs_max"])
        assert v["pairs_max"] == pytest.approx(v["abs_mean"])
        assert v["pairs_max"] <= v["scp"] + v["fairadabn"] / 2 + slack


def lacking_group():
    """Class z has no rows in group b."""
    counts = np.full((2, 3, 3), 2.0)
    counts[:, 0, 0], counts[0, 1, 1] = 6, 8
    counts[1, 2] = 0
    return GroupCounts(counts, ("a", "b"), ("x", "y", "z"))


@pytest.mark.parametrize("name", LEAVING_OUT)
def test_a_class_that_a_group_lacks_is_left_out_and_listed(name):
    counts = lacking_group()
    assert np.isfinite(value(name, counts))
    assert "classes left out (z: no positives in group 'b')" in METRICS.get(name)().note(counts)


def test_a_class_left_out_does_not_count_in_mean_sum_or_largest():
    counts = lacking_group()
    tpr, fpr = counts.true_positive_rate[:, :2], counts.false_positive_rate[:, :2]
    d_tpr, d_fpr = np.abs(tpr[0] - tpr[1]), np.abs(fpr[0] - fpr[1])
    assert value("equalized_odds_worst", counts) == pytest.approx(np.maximum(d_tpr, d_fpr).mean())
    assert value("equalized_odds_worst_max", counts) == pytest.approx(np.maximum(d_tpr, d_fpr).max())
    assert value("equalized_odds_deo", counts) == pytest.approx(d_tpr.max())
    assert value("eopp1", counts) == pytest.approx(d_tpr.mean())
    sums = tpr + fpr
    assert value("equalized_odds_fairprune", counts) == pytest.approx(np.abs(sums[0] - sums[1]).sum())
    metric = METRICS.get("equalized_odds_fairprune")()
    assert metric.limits(counts) == (0, 4)


@pytest.mark.parametrize("name", [name for name in LEAVING_OUT if name != "eopp0"])
def test_a_replicate_that_lost_a_class_compared_is_undefined(name):
    three = GroupCounts(np.ones((2, 3, 3)), ("a", "b"), ("x", "y", "z"))
    lost = np.ones((2, 2, 3, 3))
    lost[1, 0, 2] = 0
    replicates = three.replicates(lost)
    metric = METRICS.get(name)()
    assert np.isnan(metric.value(replicates, three)).tolist() == [False, True]
    assert np.isnan(metric.distance(replicates, three)).tolist() == [False, True]


@pytest.mark.parametrize("name", [*LEAVING_OUT, "equalized_odds_medfair"])
def test_without_a_class_to_compare_there_is_no_value_and_the_reason_says_so(name):
    counts = HAND.counts.copy()
    counts[1, 1] = 0
    lacking = GroupCounts(counts, ("a", "b", "c"), ("x", "y"))
    metric = METRICS.get(name)()
    assert np.isnan(metric.value(lacking, lacking))
    assert np.isnan(metric.distance(lacking, lacking))
    assert metric.reason(lacking) == "no class has positives and negatives in every group"
    assert metric.note(lacking) == "classes left out (x: no negatives in group 'b'; y: no positives in group 'b')"


def test_scp_counts_empty_cells_as_zero_and_lists_them_instead_of_an_interval():
    # y has no positives in b, so x no negatives: x TPR .75 and .5, FPR .5 and 0; y TPR .5 and 0, FPR .25 and .5
    counts = GroupCounts(np.array([[[6.0, 2.0], [1.0, 1.0]], [[4.0, 4.0], [0.0, 0.0]]]), ("a", "b"), ("x", "y"))
    metric = METRICS.get("equalized_odds_scp")()
    assert metric.value(counts, counts) == pytest.approx((0.75 + 0.25) / 2 / 2)
    listed = "empty cells count as 0, as published (x: no negatives in group 'b'; y: no positives in group 'b')"
    assert metric.note(counts) == listed
    assert metric.no_interval(counts) == f"no interval: {listed}"
    assert metric.note(HAND) is None
    assert metric.no_interval(HAND) is None


def test_scp_of_a_replicate_that_lost_a_cell_has_a_value_and_no_distance():
    lost = np.ones((2, 2, 3, 3))
    lost[1, 0, 2] = 0
    three = GroupCounts(np.ones((2, 3, 3)), ("a", "b"), ("x", "y", "z"))
    metric = METRICS.get("equalized_odds_scp")()
    assert np.isnan(metric.value(three.replicates(lost), three)).tolist() == [False, False]
    assert np.isnan(metric.distance(three.replicates(lost), three)).tolist() == [False, True]


def test_medfair_is_one_minus_the_mean_and_only_for_two_classes():
    metric = METRICS.get("equalized_odds_medfair")()
    counts = binary((0.9, 0.2), (0.7, 0.1), (0.4, 0.1))
    assert metric.value(counts, counts) == pytest.approx(1 - (0.5 + 0.1) / 2)
    three = random_counts(0, n_groups=2)
    assert np.isnan(metric.value(three, three))
    assert np.isnan(metric.distance(three, three))
    assert metric.reason(three) == "defined for two classes only, here 3"
    assert metric.note(three) is None
    assert metric.applies_to(three.classes)


@pytest.mark.parametrize(("name", "called"), [("eopp0", "EOpp0"), ("eopp1", "EOpp1")])
def test_the_note_of_equal_opportunity_holds_the_literatures_sum(name, called):
    counts = random_counts(3, n_groups=2, n_classes=4)
    total = 4 * float(value(name, counts))
    assert METRICS.get(name)().note(counts) == (
        f"{called} as the literature prints it, the sum over 4 classes, is {total:.4f}"
    )


def test_worst_is_given_per_class_with_its_rows_and_reasons():
    metric = METRICS.get("equalized_odds_worst")()
    assert metric.class_value(HAND, HAND) == pytest.approx([0.55, 0.55])
    assert [metric.class_rows(HAND, k) for k in (0, 1)] == [1, 1]
    counts = lacking_group()
    assert np.isnan(metric.class_value(counts, counts)).tolist() == [False, False, True]
    assert metric.class_reason(counts, 2) == "no positives in group 'b'"
