"""True and false positive rates of every class in every group, and their intervals."""

from __future__ import annotations

from dataclasses import replace

import fairlearn.metrics as fl
import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.groups import Groups
from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.counts import count_rows
from mindgap.metrics.interval import (
    exact_interval,
    korn_graubard_interval,
    percentile_interval,
    rare_share_interval,
)
from mindgap.metrics.metric import METRICS
from mindgap.metrics.predictions import predictions_from_arrays
from mindgap.metrics.share_spread import Share, share_spread, shares_right


def test_they_agree_with_fairlearn():
    generator = np.random.default_rng(0)
    labels, predicted, ids = (generator.integers(n, size=300) for n in (3, 3, 2))
    counts = count_rows(labels, predicted, ids, groups=("a", "b"), classes=("x", "y", "z"))
    for k in range(3):
        known = {"y_true": labels == k, "y_pred": predicted == k, "sensitive_features": ids}
        found = fl.MetricFrame(metrics={"t": sk.recall_score, "f": fl.false_positive_rate}, **known).by_group
        np.testing.assert_allclose(METRICS.get("true_positive_rate")().rates(counts)[:, k], found["t"])
        np.testing.assert_allclose(METRICS.get("false_positive_rate")().rates(counts)[:, k], found["f"])


def test_of_independent_rows_the_interval_is_nearly_that_of_clopper_and_pearson():
    # 28 of 40: Σ (h − .7)² = 40·.7·.3 = 8.4, and 40/39 of it makes 39 effective rows
    low, high, reason = korn_graubard_interval(0.7, spread=8.4, rows=40, clusters=40)
    assert low == pytest.approx(stats.beta.ppf(0.025, 0.7 * 39, 0.3 * 39 + 1))
    assert high == pytest.approx(stats.beta.ppf(0.975, 0.7 * 39 + 1, 0.3 * 39))
    assert reason is None
    exact = stats.binomtest(28, 40).proportion_ci(method="exact")
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=0.005)


def test_clusters_that_are_all_alike_are_no_more_than_their_rows_and_students_t():
    low, high, _ = korn_graubard_interval(0.5, spread=0.0, rows=100, clusters=5)
    effective = 100 * (stats.t.ppf(0.975, 99) / stats.t.ppf(0.975, 4)) ** 2
    assert low == pytest.approx(stats.beta.ppf(0.025, effective / 2, effective / 2 + 1))
    nearly = korn_graubard_interval(0.505, spread=0.5, rows=100, clusters=5)
    assert nearly[:2] == pytest.approx((low, high), abs=0.01)  # no jump where clusters stop being alike


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_rate_that_no_cluster_moves_has_the_exact_interval_of_its_clusters(value: float):
    assert korn_graubard_interval(value, spread=0.0, rows=30, clusters=5) == exact_interval(value, 5)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_spread_is_that_of_a_loop_over_clusters(seed: int):
    generator = np.random.default_rng(seed)
    n, n_classes = int(generator.integers(1, 60)), int(generator.integers(2, 5))
    labels, predicted = (generator.integers(n_classes, size=n) for _ in range(2))
    rows = ClusteredRows.of(
        labels, predicted, generator.integers(-1, 3, size=n), generator.integers(12, size=n), n_groups=3,
        n_classes=n_classes,
    )  # fmt: skip
    for of_others in (False, True):
        found = share_spread(rows, of_others=of_others)
        for g in range(3):
            for c in range(n_classes):
                held = (rows.group_ids == g) & ((rows.labels == c) != of_others)
                if not held.any():
                    assert np.isnan(found[g, c])
                    continue
                hit = held & (rows.predicted == c)
                share = hit.sum() / held.sum()
                told = sum(
                    ((hit & (rows.clusters == i)).sum() - share * (held & (rows.clusters == i)).sum()) ** 2
                    for i in range(rows.n_clusters)
                )
                assert found[g, c] == pytest.approx(told, abs=1e-9)


def test_a_group_that_is_all_right_or_nearly_is_known_as_well_as_its_rows_allow():
    """Resamples hold pseudo-clusters for such groups, which have no part in a rate's interval."""
    for wrong in (0, 1):
        labels = np.tile(np.repeat([0, 1], 30), 2)
        predicted = labels.copy()
        predicted[:wrong] = 1
        predicted[60:70] = 1
        predictions = predictions_from_arrays(
            labels, classes=("no", "yes"), predicted=predicted,
            groups={"sex": Groups("sex", ("f", "m"), np.repeat([0, 1], 60))},
        )  # fmt: skip
        rates = audit_predictions(predictions, bootstrap=50, permutations=0)["attributes"]["sex"]["per_class"]["yes"]
        found = rates["true_positive_rate"]["f"]
        assert (found["value"], found["high"]) == (1.0, 1.0)
        assert found["low"] == pytest.approx(0.025 ** (1 / 30))
        assert rates["false_positive_rate"]["f"]["high"] < 0.2


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


def alone(value, rows):
    """A share of rows, each its own cluster."""
    return Share(
        rows=rows, spread=rows * value * (1 - value), clusters=rows, right=round(value * rows),
        wrong=round((1 - value) * rows),
    )  # fmt: skip


def test_the_clusters_of_a_group_differ_as_by_hand():
    # group 0: clusters of 1 1 0 and 1; group 1: 0 0; a cluster in both groups counts in each
    right, ids, clusters = [1, 1, 0, 1, 0, 0], [0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1]
    rows = ClusteredRows.of(
        np.ones(6, dtype=np.int64), np.array(right), np.array(ids), np.array(clusters), n_groups=3, n_classes=2
    )
    first, second, empty = shares_right(rows)
    assert first == Share(rows=4, spread=pytest.approx(0.125), clusters=2, right=2, wrong=1)
    assert second == Share(rows=2, spread=0.0, clusters=1, right=0, wrong=1)
    assert empty == Share(rows=0, spread=0.0, clusters=0, right=0, wrong=0)
    # as one: clusters of 2 in 3 and 1 in 3, p = .5
    assert shares_right(rows, by_group=False) == (Share(rows=6, spread=0.5, clusters=2, right=2, wrong=2),)


def test_a_share_with_few_rows_wrong_has_the_bounds_of_clopper_and_pearson_where_rows_are_their_own_clusters():
    # 101 to 100 is k/(k - 1) of the variance, so that 95 of 100 are worth 99
    bounds = rare_share_interval(0.95, alone(0.95, 100))
    expected = stats.binomtest(95, 100).proportion_ci(0.95, method="exact")
    assert bounds == (pytest.approx(expected.low, abs=0.001), pytest.approx(expected.high, abs=0.001), None)
    wrong = rare_share_interval(0.05, alone(0.05, 100))
    assert wrong == (pytest.approx(1 - expected.high, abs=0.001), pytest.approx(1 - expected.low, abs=0.001), None)


def test_a_share_with_ten_rows_wrong_and_right_keeps_its_percentiles():
    for value, rare in ((0.89, False), (0.91, True), (0.11, False), (0.09, True)):
        assert (rare_share_interval(value, alone(value, 100)) is not None) == rare
    # twice the variance is half the rows, of which only seven are wrong
    twice = replace(alone(0.86, 100), spread=2 * 100 * 0.86 * 0.14)
    assert rare_share_interval(0.86, twice) is not None


def test_one_wrong_row_does_not_say_that_rows_of_a_cluster_are_strangers():
    # 20 clusters of 50 rows, all right: [.832, 1]. With one row wrong the rows would be worth 1,000, and the bounds
    # [.994, 1]; the error of one cluster cannot tell that.
    spread = 0.999**2 + 0.001**2 * 49
    share = Share(rows=1000, spread=spread, clusters=20, right=20, wrong=1)
    bounds = rare_share_interval(0.999, share)
    assert bounds is not None
    assert exact_interval(1.0, 20)[0] - 0.03 < bounds[0] < exact_interval(1.0, 20)[0]
    many = rare_share_interval(0.995, replace(share, wrong=5, spread=5.0))
    assert many is not None
    assert many[0] > 0.98


@pytest.mark.parametrize(("most", "k", "truth"), [(6, 100, 0.99), (6, 30, 0.95), (50, 20, 0.95)])
def test_an_accuracy_near_one_in_clusters_is_held_where_percentiles_do_not_hold_it(most, k, truth):
    generator, samples = np.random.default_rng(0), 200
    held = np.zeros(2)
    for _ in range(samples):
        rows = generator.integers(1, 7, k) if most == 6 else np.full(k, most)
        hits = generator.binomial(rows, generator.beta(truth * 7 / 3, (1 - truth) * 7 / 3, k))  # correlation .3
        value, drawn = float(hits.sum() / rows.sum()), generator.multinomial(k, np.full(k, 1 / k), 400)
        if value == 1:
            held += exact_interval(1.0, k)[0] <= truth
            continue
        spread = float(((hits - value * rows) ** 2).sum())
        share = Share(int(rows.sum()), spread, k, int((hits > 0).sum()), int((hits < rows).sum()))
        percentile = percentile_interval(value, (drawn @ hits) / (drawn @ rows))
        for at, bounds in enumerate((rare_share_interval(value, share) or percentile, percentile)):
            held[at] += bounds[0] <= truth <= bounds[1]
    assert held[0] >= 0.92 * samples
    assert held[1] <= 0.90 * samples
