"""The audit of one attribute where little is known: groups of few clusters, without errors, or without a class."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.groups import Groups
from mindgap.metrics.predictions import predictions_from_arrays


def two_groups(big_right, few_right, few_wrong=0, *, cluster_of=1):
    """Binary predictions of class x: half of group big is wrong, of group few as many as said."""
    right = [1] * big_right + [0] * big_right + [1] * few_right + [0] * few_wrong
    ids = [0] * (2 * big_right) + [1] * (few_right + few_wrong)
    return predictions_from_arrays(
        [0, 1] * (len(right) // 2) + [0] * (len(right) % 2), classes=("x", "y"),
        predicted=[k % 2 if r else 1 - k % 2 for k, r in enumerate(right)],
        groups={"tone": Groups("tone", ("light", "dark"), np.array(ids))}, clusters=np.arange(len(ids)) // cluster_of,
    )  # fmt: skip


@pytest.mark.parametrize(("rows", "has"), [(1, "1 cluster"), (3, "3 clusters"), (4, "4 clusters")])
def test_a_group_of_few_clusters_has_no_interval_and_neither_has_a_gap_that_compares_it(rows, has):
    audit = audit_predictions(two_groups(50, rows), bootstrap=50, permutations=50)
    attribute = audit["attributes"]["tone"]
    reason = f"no interval: group 'dark' has {has}"
    found = [*attribute["gaps"].values(), attribute["groups"]["dark"]["accuracy"], attribute["per_class"]["x"][
        "selection_rate_ratio"]]  # fmt: skip
    for record in found:
        if record["value"] is not None:
            assert (record["low"], record["high"], record["reason"]) == (None, None, reason)
    assert attribute["gaps"]["unfairness"]["value"] is not None
    assert attribute["gaps"]["unfairness"]["noise_p95"] is not None
    assert attribute["groups"]["light"]["accuracy"]["low"] is not None


def rare_in_a_group(positives, *, classes=("x", "y"), n=200):
    """Two groups, the second with so few rows of y, both with errors."""
    generator = np.random.default_rng(0)
    ids = np.repeat([0, 1], n)
    labels = np.where((ids == 0) & (np.arange(2 * n) % 2 == 0), 1, 0)
    labels[-positives:] = 1
    right = generator.random(2 * n) < 0.8
    right[-positives:] = np.arange(positives) != 0
    scores = np.where(right, 0.7, 0.3) + generator.uniform(-0.2, 0.2, size=2 * n)
    probabilities = np.where(labels[:, None] == np.arange(2), scores[:, None], 1 - scores[:, None])
    return predictions_from_arrays(
        labels, classes=classes, probabilities=probabilities, groups={"tone": Groups("tone", ("light", "dark"), ids)}
    )


BY_CLASS = (
    "equalized_odds_abs_mean", "eopp1", "eopp0", "equalized_odds_scp", "abroca", "worst_group_auroc",
    "auroc_difference", "f1_difference", "positive_f1_difference",
)  # fmt: skip


def test_a_gap_between_classes_needs_five_clusters_of_each_in_every_group():
    for positives, has in ((3, False), (5, True)):
        attribute = audit_predictions(rare_in_a_group(positives), permutations=10)["attributes"]["tone"]
        doubts = {
            f"no interval: {what} of group 'dark' has 3 clusters" for what in ("class 'y'", "what is not class 'x'")
        }
        for name in BY_CLASS:
            gap = attribute["gaps"][name]
            assert gap["value"] is not None
            assert (gap["low"] is not None) == has, name
            assert gap["reason"] is None if has else gap["reason"] in doubts, name
        of_class = attribute["per_class"]["y"]["equalized_odds_abs_mean"]
        assert (of_class["low"] is not None) == has
        assert attribute["gaps"]["unfairness"]["low"] is not None
        assert attribute["gaps"]["accuracy_difference"]["low"] is not None


def test_rows_outside_of_a_class_are_counted_too():
    data = rare_in_a_group(197)
    reason = audit_predictions(data, permutations=10)["attributes"]["tone"]["gaps"]["eopp0"]["reason"]
    assert reason == "no interval: what is not class 'y' of group 'dark' has 3 clusters"


def test_clusters_of_several_classes_count_for_what_is_not_of_a_class():
    # twenty patients of each group, each with a row of class x and one of the rare classes
    rare = np.arange(40) % 10 + 1
    labels = np.stack([np.zeros(40, dtype=np.int64), rare], axis=1).ravel()
    data = predictions_from_arrays(
        labels, classes=tuple("xabcdefghij"), predicted=np.where(np.arange(80) % 3 == 0, 0, labels),
        groups={"tone": Groups("tone", ("light", "dark"), np.repeat([0, 1], 40))}, clusters=np.repeat(np.arange(40), 2),
    )  # fmt: skip
    per_class = audit_predictions(data, permutations=5)["attributes"]["tone"]["per_class"]
    assert per_class["x"]["equalized_odds_abs_mean"]["low"] is not None
    assert "class 'a' of group" in per_class["a"]["equalized_odds_abs_mean"]["reason"]


def test_a_class_that_a_group_lacks_is_said_of_a_difference_of_means_over_classes():
    labels = np.array([0, 1] * 30 + [0] * 40)
    predicted = np.where(np.arange(100) % 7 == 0, 1 - labels, labels)
    groups = {"tone": Groups("tone", ("light", "dark"), np.repeat([0, 1], [60, 40]))}
    data = predictions_from_arrays(labels, classes=("x", "y"), predicted=predicted, groups=groups)
    notes = audit_predictions(data, bootstrap=10, permutations=10)["attributes"]["tone"]["notes"]
    assert "groups' means are over different classes; lacking (y: dark)" in notes["f1_difference"]


def test_an_accuracy_of_one_has_an_exact_interval_by_its_clusters():
    for cluster_of, clusters in ((1, 20), (2, 10)):
        attribute = audit_predictions(two_groups(50, 20, cluster_of=cluster_of), permutations=0)["attributes"]["tone"]
        dark = attribute["groups"]["dark"]
        assert dark["accuracy"]["low"] == pytest.approx(0.025 ** (1 / clusters))
        assert dark["accuracy"]["high"] == 1
        assert dark["balanced_accuracy"]["low"] == pytest.approx(0.025 ** (1 / 10))  # ten rows of each class
    wrong = audit_predictions(two_groups(50, 0, 20), permutations=0)["attributes"]["tone"]["groups"]["dark"]
    assert (wrong["accuracy"]["low"], wrong["accuracy"]["high"]) == (0, pytest.approx(1 - 0.025**0.05))


def test_an_accuracy_with_few_rows_wrong_is_not_left_to_percentiles_unless_bca_is_asked_for():
    predictions = two_groups(50, 38, 2)
    found = {
        interval: audit_predictions(predictions, permutations=0, interval=interval)["attributes"]["tone"]["groups"]
        for interval in ("percentile", "bca")
    }
    accuracy = found["percentile"]["dark"]["accuracy"]
    expected = stats.binomtest(38, 40).proportion_ci(0.95, method="exact")
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((expected.low, expected.high), abs=0.01)
    of_forty = 40 * found["bca"]["dark"]["accuracy"]["low"]  # the accuracy of a draw of forty rows
    assert of_forty == pytest.approx(round(of_forty))
    light = found["percentile"]["light"]["accuracy"]  # half of it is wrong
    assert light["low"] == pytest.approx(0.5 - 1.96 * 0.05, abs=0.012)


def test_a_mean_over_classes_of_one_needs_five_clusters_of_every_class():
    groups = {"a": Groups("a", ("p", "q"), np.array([0] * 40 + [1] * 12))}
    labels = np.array([0, 1] * 20 + [0] * 10 + [1] * 2)
    predicted = np.where(np.arange(52) < 5, 1 - labels, labels)
    audit = audit_predictions(predictions_from_arrays(labels, classes=("x", "y"), predicted=predicted, groups=groups))
    group = audit["attributes"]["a"]["groups"]["q"]
    assert group["accuracy"]["low"] == pytest.approx(0.025 ** (1 / 12))
    assert group["balanced_accuracy"]["reason"] == "no interval: class 'y' of group 'q' has 2 clusters"


def test_an_overall_accuracy_of_one_is_not_certain():
    right = np.array([0, 1] * 15)
    overall = audit_predictions(predictions_from_arrays(right, classes=("x", "y"), predicted=right))["overall"]
    assert overall["accuracy"]["low"] == pytest.approx(0.025 ** (1 / 30))
    assert overall["macro_f1"]["low"] == pytest.approx(0.025 ** (1 / 15))
    few = audit_predictions(predictions_from_arrays(right[:3], classes=("x", "y"), predicted=right[:3]))["overall"]
    assert few["accuracy"]["reason"] == "no interval: the sample has 3 clusters"


def test_a_small_group_without_errors_widens_the_gaps_it_is_in():
    gaps = audit_predictions(two_groups(250, 20), permutations=0)["attributes"]["tone"]["gaps"]
    assert gaps["accuracy_difference"]["low"] < 0.5 - 0.05
    assert gaps["worst_group_accuracy"]["n"] == 500


def test_replicates_that_lost_a_class_are_left_out_and_counted():
    # five rows of group q are y: e^-5 of the resamples have none
    groups = {"a": Groups("a", ("p", "q"), np.array([0] * 60 + [1] * 60))}
    labels = np.array([0, 1] * 30 + [0] * 55 + [1] * 5)
    predicted = np.where(np.arange(120) % 5 == 0, 1 - labels, labels)
    made = predictions_from_arrays(labels, classes=("x", "y"), predicted=predicted, groups=groups)
    attribute = audit_predictions(made, permutations=0)["attributes"]["a"]
    note = attribute["notes"]["equalized_odds_abs_mean"]
    left_out = int(note.removeprefix("undefined in ").removesuffix(" of 2000 bootstrap replicates"))
    assert left_out == pytest.approx(2000 * (55 / 60) ** 60, abs=9)
    assert attribute["gaps"]["equalized_odds_abs_mean"]["low"] is not None
    assert attribute["per_class"]["y"]["equalized_odds_abs_mean"]["n"] == 5


def test_a_class_one_group_is_never_predicted_leaves_no_interval_of_the_mean_selection_ratio():
    groups = {"a": Groups("a", ("p", "q"), np.arange(60) % 2)}
    labels = np.arange(60) // 2 % 3
    predicted = np.where((labels == 2) & (np.arange(60) % 2 == 1), 0, labels)
    made = predictions_from_arrays(labels, classes=("x", "y", "z"), predicted=predicted, groups=groups)
    attribute = audit_predictions(made, permutations=0)["attributes"]["a"]
    macro = attribute["gaps"]["selection_rate_ratio"]
    assert (macro["low"], macro["high"]) == (None, None)
    assert macro["reason"].startswith("no interval: class 'z' is never predicted in group 'q'")
    assert attribute["per_class"]["y"]["selection_rate_ratio"]["low"] is not None


def test_no_interval_of_a_gap_exceeds_what_the_gap_can_be():
    # light is all right and dark all wrong: U is 1, the most of two groups, and the mean distance from one of them 1/2
    # with six rows a group has three of a class, too few to standardise the case mix
    most = {"unfairness": 1, "spd": 0.5, "accuracy_difference": 1, "unfairness_standardized": 1}
    for rows, undefined in ((6, {"unfairness_standardized"}), (50, set())):
        made = two_groups(0, rows, 0)
        wrong = two_groups(0, 0, rows)
        both = predictions_from_arrays(
            np.concatenate([made.labels, wrong.labels]), classes=("x", "y"),
            predicted=np.concatenate([made.predicted, wrong.predicted]),
            groups={"tone": Groups("tone", ("light", "dark"), np.repeat([0, 1], rows))},
        )  # fmt: skip
        gaps = audit_predictions(both, permutations=0)["attributes"]["tone"]["gaps"]
        assert {name for name in most if gaps[name]["value"] is None} == undefined
        for name in most.keys() - undefined:
            assert gaps[name]["value"] == pytest.approx(most[name])
            assert gaps[name]["low"] < gaps[name]["value"]
            assert gaps[name]["high"] == pytest.approx(most[name])


def constant_prediction():
    """Class x for everyone, in two groups with the same 20, 20 and 20 rows of three classes."""
    labels = np.arange(120) % 3
    groups = {"tone": Groups("tone", ("light", "dark"), np.arange(120) // 60)}
    return predictions_from_arrays(labels, classes=("x", "y", "z"), predicted=np.zeros(120, dtype=int), groups=groups)


def test_figures_that_no_resample_moves_have_no_interval_and_a_reason():
    audit = audit_predictions(constant_prediction(), bootstrap=400, permutations=50)
    tone = audit["attributes"]["tone"]
    unmoved = (
        audit["overall"]["balanced_accuracy"], tone["groups"]["dark"]["balanced_accuracy"],
        tone["gaps"]["selection_rate_ratio"], tone["per_class"]["x"]["selection_rate_ratio"],
    )  # fmt: skip
    for record in unmoved:
        assert record["value"] is not None
        found = (record["low"], record["high"], record["reason"])
        assert found == (None, None, "no interval: almost no resample moves this value")
    assert tone["gaps"]["unfairness_standardized"]["p_value"] == 1
    assert tone["gaps"]["unfairness_standardized"]["noise_p95"] == 0
    for record in (audit["overall"]["accuracy"], tone["groups"]["dark"]["macro_f1"], tone["gaps"]["unfairness"]):
        assert record["low"] < record["high"]
        assert record["reason"] is None


def test_gaps_between_recalls_of_0_and_1_are_not_certain():
    """A class that is named for everyone is found in 20 of 20 rows of either group, the others in none."""
    audit = audit_predictions(constant_prediction(), permutations=50)
    tone = audit["attributes"]["tone"]
    for record in (
        tone["gaps"]["unfairness_standardized"], tone["gaps"]["equalized_odds_abs_mean"],
        tone["per_class"]["x"]["equalized_odds_abs_mean"],
    ):  # fmt: skip
        assert record["reason"] is None
        assert record["low"] <= record["value"] <= record["high"]
        assert 0.02 < record["high"] - record["low"] < 0.5


def one_class_for_all(*rare):
    """The first class for everyone, in two groups of 120 rows with so many of each rare class."""
    common = 120 - sum(rare)
    one = np.repeat(np.arange(2 + len(rare)), [common // 2, common - common // 2, *rare])
    labels = np.tile(one, 2)
    groups = {"tone": Groups("tone", ("light", "dark"), np.repeat([0, 1], 120))}
    names = tuple(f"c{k}" for k in range(2 + len(rare)))
    return predictions_from_arrays(labels, classes=names, predicted=np.zeros(240, dtype=int), groups=groups)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_mean_over_classes_with_a_class_of_few_rows_has_no_interval(n):
    made = one_class_for_all(n)
    group = audit_predictions(made, permutations=0)["attributes"]["tone"]["groups"]["dark"]
    reason = f"no interval: class 'c2' of group 'dark' has {n} cluster{'s' if n > 1 else ''}"
    for name in ("balanced_accuracy", "macro_f1"):
        assert (group[name]["low"], group[name]["high"], group[name]["reason"]) == (None, None, reason)
    assert group["accuracy"]["low"] < group["accuracy"]["high"]
    overall = audit_predictions(made, permutations=0)["overall"]["balanced_accuracy"]
    assert overall["low"] is None


def test_resamples_that_lost_a_class_do_not_move_a_mean_over_classes():
    # six classes of five rows: a resample loses one of them in 6·e^-5 = 4 % of the time, and 1/7 would be above 1/8
    group = audit_predictions(one_class_for_all(*[5] * 6), permutations=0)["attributes"]["tone"]["groups"]["dark"]
    assert group["balanced_accuracy"]["value"] == 1 / 8
    assert group["balanced_accuracy"]["reason"] == "no interval: almost no resample moves this value"
