"""True and false positive rates of every class in every group, and their intervals."""

from __future__ import annotations

import fairlearn.metrics as fl
import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.groups import Groups
from mindgap.metrics.counts import count_rows
from mindgap.metrics.interval import korn_graubard_interval
from mindgap.metrics.metric import METRICS
from mindgap.metrics.predictions import predictions_from_arrays


def test_they_agree_with_fairlearn():
    generator = np.random.default_rng(0)
    labels, predicted, ids = (generator.integers(n, size=300) for n in (3, 3, 2))
    counts = count_rows(labels, predicted, ids, groups=("a", "b"), classes=("x", "y", "z"))
    for k in range(3):
        known = {"y_true": labels == k, "y_pred": predicted == k, "sensitive_features": ids}
        found = fl.MetricFrame(metrics={"t": sk.recall_score, "f": fl.false_positive_rate}, **known).by_group
        np.testing.assert_allclose(METRICS.get("true_positive_rate")().rates(counts)[:, k], found["t"])
        np.testing.assert_allclose(METRICS.get("false_positive_rate")().rates(counts)[:, k], found["f"])


def test_of_independent_rows_the_interval_is_that_of_clopper_and_pearson():
    # variance x(1 − x)/n of 40 rows in as many clusters: the effective number of rows is 40
    value, spread = 0.7, np.sqrt(0.7 * 0.3 / 40)
    replicates = value + spread * np.array([-1.0, 1.0] * 500) * np.sqrt(999 / 1000)
    low, high, reason = korn_graubard_interval(value, replicates, rows=40, clusters=40)
    exact = stats.binomtest(28, 40).proportion_ci(method="exact")
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-6)
    assert reason is None


@given(share=st.floats(0, 1), rows=st.integers(5, 200), per=st.integers(1, 4), seed=st.integers(0, 9))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_it_holds_its_value_and_is_wider_with_fewer_clusters(share: float, rows: int, per: int, seed: int):
    right = np.random.default_rng(seed).random((300, rows)) < share
    value, replicates = float(right[0].mean()), right.mean(axis=1)
    low, high, _ = korn_graubard_interval(value, replicates, rows=rows, clusters=rows)
    assert 0 <= low <= value <= high <= 1
    assert high > low
    fewer = max(5, rows // per)
    below, above, _ = korn_graubard_interval(value, replicates, rows=rows, clusters=fewer)
    assert below <= low + 1e-9
    assert above >= high - 1e-9


def rates_of(positives: int, *, found: int) -> dict:
    """Of 60 rows of a group, some of the class, the first of which are found; each row is a cluster."""
    labels = np.r_[np.ones(positives), np.zeros(60 - positives), np.arange(60) % 2].astype(int)
    predicted = labels.copy()
    predicted[found:positives] = 0
    predictions = predictions_from_arrays(
        labels, classes=("no", "yes"), predicted=predicted,
        groups={"sex": Groups("sex", ("f", "m"), np.repeat([0, 1], 60))},
    )  # fmt: skip
    audit = audit_predictions(predictions, bootstrap=400, permutations=0)
    return audit["attributes"]["sex"]["per_class"]["yes"]


def test_few_clusters_of_the_class_leave_no_interval_and_of_the_others_do():
    of_class = rates_of(4, found=2)
    missed, alarms = of_class["true_positive_rate"]["f"], of_class["false_positive_rate"]["f"]
    assert (missed["value"], missed["low"], missed["n"]) == (0.5, None, 4)
    assert missed["reason"] == "no interval: class 'yes' of group 'f' has 4 clusters"
    assert (alarms["value"], alarms["low"], alarms["n"]) == (0.0, 0.0, 56)
    assert alarms["high"] == pytest.approx(1 - 0.025 ** (1 / 56))


def test_without_a_row_of_the_class_there_is_no_rate():
    missing = rates_of(0, found=0)["true_positive_rate"]["f"]
    assert (missing["value"], missing["reason"]) == (None, "no positives")


def test_clusters_of_several_rows_widen_it():
    labels, right = np.ones(120, dtype=int), np.repeat(np.arange(40) % 4 != 0, 3)
    labels[60:] = 0
    predicted = np.where(right, labels, 1 - labels)
    found = []
    for clusters in (np.arange(120), np.arange(120) // 3):
        predictions = predictions_from_arrays(
            np.r_[labels, labels], classes=("no", "yes"), predicted=np.r_[predicted, predicted],
            groups={"sex": Groups("sex", ("f", "m"), np.repeat([0, 1], 120))}, clusters=np.r_[clusters, clusters + 120],
        )  # fmt: skip
        audit = audit_predictions(predictions, bootstrap=400, permutations=0)
        found.append(audit["attributes"]["sex"]["per_class"]["yes"]["true_positive_rate"]["f"])
    assert found[0]["value"] == found[1]["value"] == 0.75
    assert found[1]["high"] - found[1]["low"] > 1.4 * (found[0]["high"] - found[0]["low"])
