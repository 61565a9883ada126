"""Audits of predictions with probabilities: ranking and calibration, the options, and what chance alone gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.errors import ConfigError
from mindgap.core.groups import Groups
from mindgap.metrics.predictions import predictions_from_arrays

CLASSES = ("mel", "nv", "bcc")


def scored(n=600, seed=0, *, n_groups=3, shares=(0.5, 0.3, 0.2), other_shares=None, n_clusters=None):
    """Softmax of Gaussian logits; with ``other_shares`` the last group has these classes."""
    generator = np.random.default_rng(seed)
    clusters = np.arange(n) % (n_clusters or n)
    ids = generator.integers(n_groups, size=n)[clusters]
    labels = generator.choice(len(shares), size=n, p=shares)
    if other_shares:
        labels = np.where(ids == n_groups - 1, generator.choice(len(shares), size=n, p=other_shares), labels)
    labels = labels[clusters]
    odds = np.exp(generator.normal(size=(n, len(shares))) + np.array([2.2, 1.4, 0.8])[labels, None] * np.eye(3)[labels])
    groups = {"tone": Groups("tone", tuple(f"tone {k}" for k in range(n_groups)), ids)}
    groups["sex"] = Groups("sex", ("f", "m"), generator.integers(-1, 2, size=n)[clusters])
    return predictions_from_arrays(
        labels, classes=CLASSES, probabilities=odds / odds.sum(axis=1, keepdims=True), groups=groups, clusters=clusters
    )


@pytest.fixture(scope="module")
def audited():
    predictions = scored()
    return predictions, audit_predictions(predictions, bootstrap=200, permutations=100)


def expected_calibration_error(predictions, rows):
    confidence = predictions.probabilities[rows].max(axis=1)
    right, total = (predictions.labels == predictions.predicted)[rows], 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        total += abs(right[inside].sum() - confidence[inside].sum()) / len(right)
    return total


def test_macro_auroc_is_scikit_learns_and_ece_the_definition(audited):
    predictions, audit = audited
    everyone = np.ones(predictions.n, dtype=bool)
    parts = [(everyone, audit["overall"])]
    for name, groups in predictions.groups.items():
        parts += [(groups.ids == g, audit["attributes"][name]["groups"][group]) for g, group in enumerate(groups.names)]
    for rows, found in parts:
        area = roc_auc_score(predictions.labels[rows], predictions.probabilities[rows], multi_class="ovr")
        assert found["macro_auroc"]["value"] == pytest.approx(area, abs=1e-9)
        assert found["ece"]["value"] == pytest.approx(expected_calibration_error(predictions, rows), abs=1e-9)


def test_calibration_by_hand():
    predictions = predictions_from_arrays(
        [0, 0, 0, 1], classes=("a", "b"), probabilities=np.array([[0.9, 0.1]] * 4), groups={}
    )
    assert audit_predictions(predictions, bootstrap=0, permutations=0)["overall"]["ece"]["value"] == pytest.approx(0.15)


def test_scores_have_intervals_and_floors(audited):
    _, audit = audited
    for attribute in audit["attributes"].values():
        for group in attribute["groups"].values():
            for name in ("macro_auroc", "ece"):
                assert group[name]["low"] < group[name]["value"] < group[name]["high"]
        for name in ("abroca", "auroc_difference", "worst_group_auroc"):
            gap = attribute["gaps"][name]
            assert gap["low"] <= gap["value"] < gap["high"]
            assert 0 < gap["noise_mean"] < 1
            assert gap["p_value"] > 1 / 101
        for of_class in attribute["per_class"].values():
            assert of_class["abroca"]["value"] < of_class["abroca"]["high"]
            assert of_class["abroca"]["noise_mean"] > 0


def test_scores_leave_what_needs_counts_alone_as_it_is(audited):
    predictions, audit = audited
    alone = predictions_from_arrays(
        predictions.labels, classes=CLASSES, predicted=predictions.predicted, groups=predictions.groups
    )
    without = audit_predictions(alone, bootstrap=200, permutations=100)
    for name, attribute in audit["attributes"].items():
        for gap, record in attribute["gaps"].items():
            other = without["attributes"][name]["gaps"][gap]
            if gap in {"abroca", "auroc_difference", "worst_group_auroc"}:
                assert other["value"] is None
                assert other["reason"] == "no probabilities, only predicted classes"
            elif record["value"] is not None:
                assert record["value"] == other["value"]
                assert record["noise_mean"] == pytest.approx(other["noise_mean"], rel=0.25)
                if record["low"] is not None:
                    width, other_width = record["high"] - record["low"], other["high"] - other["low"]
                    assert width == pytest.approx(other_width, rel=0.3, abs=0.01)


def test_the_largest_distance_of_curves_is_at_least_that_of_their_areas(audited):
    _, audit = audited
    areas = [group["macro_auroc"]["value"] for group in audit["attributes"]["tone"]["groups"].values()]
    assert audit["attributes"]["tone"]["gaps"]["abroca"]["value"] >= (max(areas) - min(areas)) / 3
    assert audit["attributes"]["tone"]["gaps"]["worst_group_auroc"]["value"] == min(areas)
    assert audit["attributes"]["tone"]["gaps"]["auroc_difference"]["value"] == max(areas) - min(areas)


def bca(statistic, *columns, seed=0):
    found = stats.bootstrap(
        columns, statistic, paired=True, vectorized=False, method="BCa", n_resamples=2000,
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    return found.confidence_interval


def test_bca_intervals_are_scipys():
    predictions = scored(150, seed=3)
    overall = audit_predictions(predictions, bootstrap=4000, permutations=0, interval="bca")["overall"]
    right = (predictions.labels == predictions.predicted).astype(float)

    def area(labels, *scores):
        found = []
        for k, column in enumerate(scores):
            ranks, positive = stats.rankdata(column), labels == k
            beaten = ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2
            found.append(beaten / (positive.sum() * (~positive).sum()))
        return np.mean(found)

    expected = bca(lambda x: x.mean(), right)
    assert (overall["accuracy"]["low"], overall["accuracy"]["high"]) == pytest.approx(tuple(expected), abs=0.012)
    expected = bca(area, predictions.labels, *predictions.probabilities.T)
    assert (overall["macro_auroc"]["low"], overall["macro_auroc"]["high"]) == pytest.approx(tuple(expected), abs=0.008)
    plain = audit_predictions(predictions, bootstrap=4000, permutations=0)["overall"]["macro_auroc"]
    assert overall["macro_auroc"]["low"] < plain["low"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval": "x"}, "interval 'x' is unknown"),
        ({"floor": "y"}, "floor 'y' is unknown"),
        ({"bootstrap": -1}, "bootstrap=-1: give 0 or more"),
        ({"permutations": -2}, "permutations=-2: give 0 or more"),
    ],
)
def test_options_without_a_meaning_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        audit_predictions(scored(30), **options)


def test_permuting_over_all_classes_leaves_out_what_the_case_mix_explains():
    predictions = scored(900, n_groups=2, shares=(0.8, 0.1, 0.1), other_shares=(0.1, 0.1, 0.8))
    floors = {
        floor: audit_predictions(predictions, bootstrap=0, permutations=100, floor=floor)["attributes"]["tone"]["gaps"]
        for floor in ("within-class", "all-classes")
    }
    within, over_all = floors["within-class"], floors["all-classes"]
    assert within["unfairness"]["noise_mean"] > 3 * over_all["unfairness"]["noise_mean"]
    assert within["unfairness"]["p_value"] > 0.05
    assert over_all["unfairness"]["p_value"] == 1 / 101
    assert within["unfairness_case_mix"]["noise_mean"] == pytest.approx(within["unfairness_case_mix"]["value"])


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_the_same_seed_gives_the_same_record_in_threads_and_without(monkeypatch, interval):
    predictions = scored(400, n_clusters=250)
    options = {"bootstrap": 150, "permutations": 80, "interval": interval}
    alone = audit_predictions(predictions, **options)
    assert audit_predictions(predictions, **options) == alone
    monkeypatch.setattr("mindgap.audit.model_audit.MANY_ROWS", 1)
    done = []
    assert audit_predictions(predictions, **options, attribute_done=done.append) == alone
    assert sorted(done) == ["sex", "tone"]
    assert audit_predictions(predictions, **options, seed=1) != alone


def test_unequal_groups_of_equal_accuracy_have_a_large_raw_gap_that_is_chance():
    """Six groups of 7000/2900/72/24/5/5 rows at accuracy .80: U is .375 on average, and p is uniform."""
    ids = np.repeat(np.arange(6), [7000, 2900, 72, 24, 5, 5])
    groups = {"tone": Groups("tone", tuple(f"tone {k}" for k in range(6)), ids)}
    values, p_values, floors = [], [], []
    for seed in range(60):
        wrong = (np.random.default_rng([7, seed]).random(len(ids)) < 0.2).astype(np.int64)
        predictions = predictions_from_arrays(
            np.zeros(len(ids), dtype=np.int64), classes=("a", "b"), predicted=wrong, groups=groups
        )
        found = audit_predictions(predictions, bootstrap=0, permutations=99, seed=seed)["attributes"]["tone"]
        gap = found["gaps"]["unfairness"]
        values.append(gap["value"])
        p_values.append(gap["p_value"])
        floors.append(gap["noise_mean"])
    assert np.mean(values) == pytest.approx(0.375, abs=3 * np.std(values) / np.sqrt(60))
    assert np.mean(floors) == pytest.approx(0.375, abs=0.02)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
