"""The metrics against fairlearn, aif360 and scikit-learn where definitions coincide, and where they do not."""

from __future__ import annotations

import logging
import warnings

import fairlearn.metrics as fl
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk

from mindgap.metrics.counts import GroupCounts, count_rows
from mindgap.metrics.metric import METRICS

SAME = {"rel": 0, "abs": 1e-9}


def random_rows(seed, *, n=300, n_classes=4, n_groups=3):
    generator = np.random.default_rng(seed)
    labels = generator.choice(n_classes, size=n, p=np.arange(1, n_classes + 1) / (n_classes * (n_classes + 1) / 2))
    predicted = np.where(generator.random(n) < 0.6, labels, generator.integers(n_classes, size=n))
    return labels, predicted, generator.integers(n_groups, size=n)


def counts_from(labels, predicted, ids):
    groups = tuple(f"g{k}" for k in range(int(ids.max()) + 1))
    classes = tuple(f"c{k}" for k in range(int(max(labels.max(), predicted.max())) + 1))
    return count_rows(labels, predicted, ids, groups=groups, classes=classes)


def value(name, counts):
    return float(METRICS.get(name)().value(counts, counts))


def by_class(name, counts):
    return METRICS.get(name)().class_value(counts, counts)


@pytest.fixture(scope="module")
def average_odds_error():
    """aif360's, which says at import what else could be installed."""
    logging.disable(logging.WARNING)
    try:
        metrics = pytest.importorskip("aif360.sklearn.metrics", reason="aif360 is not installed; pip install aif360")
    finally:
        logging.disable(logging.NOTSET)
    return metrics.average_odds_error


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_classes", [2, 4])
def test_group_metrics_agree_with_scikit_learn(seed, n_classes):
    labels, predicted, ids = random_rows(seed, n_classes=n_classes)
    counts = counts_from(labels, predicted, ids)
    for g in range(3):
        true, seen = labels[ids == g], predicted[ids == g]
        found = {n: METRICS.get(n)().value(counts.counts)[g] for n in ("accuracy", "balanced_accuracy", "macro_f1")}
        assert found["accuracy"] == pytest.approx(sk.accuracy_score(true, seen), **SAME)
        assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(true, seen), **SAME)
        macro = sk.f1_score(true, seen, average="macro", labels=np.unique(true))
        assert found["macro_f1"] == pytest.approx(macro, **SAME)


@pytest.mark.parametrize("seed", range(5))
def test_f1_of_the_positive_class_agrees_with_scikit_learn(seed):
    labels, predicted, ids = random_rows(seed, n_classes=2)
    counts = counts_from(labels, predicted, ids)
    expected = [sk.f1_score(labels[ids == g], predicted[ids == g]) for g in range(3)]
    np.testing.assert_allclose(METRICS.get("positive_f1")().value(counts.counts), expected, rtol=0, atol=1e-9)
    assert value("positive_f1_difference", counts) == pytest.approx(max(expected) - min(expected), **SAME)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("n_classes", "n_groups"), [(2, 2), (2, 4), (4, 2), (4, 3)])
def test_one_against_the_rest_the_gaps_agree_with_fairlearn(seed, n_classes, n_groups):
    labels, predicted, ids = random_rows(seed, n_classes=n_classes, n_groups=n_groups)
    counts = counts_from(labels, predicted, ids)
    known = [{"y_true": labels == k, "y_pred": predicted == k, "sensitive_features": ids} for k in range(n_classes)]
    mean = [fl.equalized_odds_difference(**rows, agg="mean") for rows in known]
    worst = [fl.equalized_odds_difference(**rows, agg="worst_case") for rows in known]
    recall = [fl.true_positive_rate_difference(**rows) for rows in known]
    specificity = [fl.true_negative_rate_difference(**rows) for rows in known]
    ratio = [fl.demographic_parity_ratio(**rows) for rows in known]
    rates = [fl.demographic_parity_difference(**rows) for rows in known]
    np.testing.assert_allclose(by_class("equalized_odds_abs_mean", counts), mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(by_class("equalized_odds_worst", counts), worst, rtol=0, atol=1e-9)
    np.testing.assert_allclose(by_class("selection_rate_ratio", counts), ratio, rtol=0, atol=1e-9)
    np.testing.assert_allclose(by_class("selection_rate_difference", counts), rates, rtol=0, atol=1e-9)
    assert value("equalized_odds_abs_mean", counts) == pytest.approx(np.mean(mean), **SAME)
    assert value("equalized_odds_worst", counts) == pytest.approx(np.mean(worst), **SAME)
    assert value("equalized_odds_worst_max", counts) == pytest.approx(max(worst), **SAME)
    assert value("equalized_odds_deo", counts) == pytest.approx(max(recall), **SAME)
    assert value("eopp1", counts) == pytest.approx(np.mean(recall), **SAME)
    assert value("eopp0", counts) == pytest.approx(np.mean(specificity), **SAME)
    assert value("selection_rate_ratio", counts) == pytest.approx(np.mean(ratio), **SAME)
    assert value("selection_rate_difference", counts) == pytest.approx(np.mean(rates), **SAME)
    if n_classes == 2:
        assert value("equalized_odds_medfair", counts) == pytest.approx(1 - mean[1], **SAME)


@pytest.mark.parametrize("seed", range(5))
def test_ranges_of_accuracy_agree_with_fairlearn(seed):
    labels, predicted, ids = random_rows(seed)
    counts = counts_from(labels, predicted, ids)
    frame = fl.MetricFrame(metrics=sk.accuracy_score, y_true=labels, y_pred=predicted, sensitive_features=ids)
    assert value("accuracy_difference", counts) == pytest.approx(frame.difference(), **SAME)
    assert value("accuracy_ratio", counts) == pytest.approx(frame.ratio(), **SAME)
    assert value("worst_group_accuracy", counts) == pytest.approx(frame.group_min(), **SAME)
    assert value("unfairness", counts) == pytest.approx((frame.by_group - frame.overall).abs().sum(), **SAME)


@pytest.mark.parametrize("seed", range(2))
def test_underestimation_agrees_with_fairlearns_selection_rates_of_predictions_and_labels(seed):
    labels, predicted, ids = random_rows(seed)
    counts = counts_from(labels, predicted, ids)
    rates = METRICS.get("underestimation")().rates(counts)
    for g in range(3):
        for k in range(4):
            seen = fl.selection_rate(labels[ids == g] == k, predicted[ids == g] == k)
            there = fl.selection_rate(labels[ids == g] == k, labels[ids == g] == k)
            assert rates[g, k] == pytest.approx(seen / there, **SAME)


@pytest.mark.parametrize("seed", range(5))
def test_two_groups_agree_with_aif360(seed, average_odds_error):
    labels, predicted, ids = random_rows(seed, n_groups=2)
    counts = counts_from(labels, predicted, ids)
    index = pd.Index(ids, name="group")
    expected = [
        average_odds_error(pd.Series((labels == k).astype(int), index=index), (predicted == k).astype(int))
        for k in range(4)
    ]
    for name in ("equalized_odds_abs_mean", "equalized_odds_pairs_max", "equalized_odds_pairs_mean"):
        assert value(name, counts) == pytest.approx(np.mean(expected), **SAME)
    np.testing.assert_allclose(by_class("equalized_odds_abs_mean", counts), expected, rtol=0, atol=1e-9)


def test_a_group_without_positives_is_left_out_with_a_reason_where_fairlearn_calls_its_recall_zero():
    labels, predicted = np.array([1, 1, 0, 0, 0, 0]), np.array([1, 1, 0, 0, 0, 1])
    ids = np.array([0, 0, 0, 1, 1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = fl.true_positive_rate_difference(labels, predicted, sensitive_features=ids)
    assert theirs == 1
    counts = counts_from(labels, predicted, ids)
    odds = METRICS.get("equalized_odds_worst")()
    assert np.isnan(odds.class_value(counts, counts)[1])
    assert odds.class_reason(counts, 1) == "no positives in group 'g1'"
    assert METRICS.get("equalized_odds_scp")().note(counts) is not None


def test_fairlearn_answers_several_classes_for_class_one_alone_and_ours_is_the_mean_over_classes():
    labels, predicted, ids = random_rows(1)
    counts = counts_from(labels, predicted, ids)
    theirs = fl.demographic_parity_ratio(labels, predicted, sensitive_features=ids)
    ratios = by_class("selection_rate_ratio", counts)
    assert theirs == pytest.approx(ratios[1])
    assert value("selection_rate_ratio", counts) == pytest.approx(ratios.mean())
    assert abs(theirs - ratios.mean()) > 0.01


def test_scikit_learn_calls_f1_without_positives_zero_and_ours_is_undefined():
    assert sk.f1_score([0, 0], [0, 1], zero_division=0) == 0
    counts = GroupCounts(np.array([[[1.0, 1.0], [0.0, 0.0]]]), ("a",), ("x", "y"))
    assert np.isnan(METRICS.get("positive_f1")().value(counts.counts)[0])
