"""The AUDIT record: its form, its values against the definitions, and what it says where nothing can be said."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import sklearn.metrics as sk

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.errors import DataError
from mindgap.core.groups import Groups
from mindgap.metrics.metric import METRICS
from mindgap.metrics.predictions import multi_label_from_arrays, predictions_from_arrays

GROUP_METRICS = {"accuracy", "balanced_accuracy", "macro_f1", "macro_auroc", "ece"}
GAPS = {
    "unfairness", "unfairness_standardized", "unfairness_case_mix", "unfairness_within_class", "accuracy_ratio",
    "accuracy_difference", "f1_difference", "spd", "selection_rate_ratio", "selection_rate_difference",
    "worst_group_accuracy", "worst_group_auroc", "auroc_difference",
    "equalized_odds_abs_mean", "equalized_odds_worst", "equalized_odds_worst_max", "equalized_odds_fairprune",
    "equalized_odds_scp", "equalized_odds_fairadabn", "equalized_odds_medfair", "equalized_odds_deo",
    "equalized_odds_pairs_max", "equalized_odds_pairs_mean", "eopp0", "eopp1", "abroca", "uei",
}  # fmt: skip
CLASS_GAPS = {
    "selection_rate_ratio",
    "selection_rate_difference",
    "equalized_odds_abs_mean",
    "equalized_odds_worst",
    "uei",
    "abroca",
}
CLASS_RATES = {"underestimation", "true_positive_rate", "false_positive_rate"}
CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
V_KEYS = {"value", "low", "high", "n", "reason"}
G_KEYS = V_KEYS | {"noise_mean", "noise_p95", "p_value"}


def sample(n, seed=0, *, effect=0.0, cluster_of=2, ages=3):
    """Predictions of unbalanced classes in clusters, with the attributes age and sex; ``effect`` hurts women."""
    generator = np.random.default_rng(seed)
    clusters = np.arange(n) // cluster_of
    number = clusters.max() + 1
    labels = generator.choice(7, size=number, p=[0.03, 0.05, 0.11, 0.02, 0.11, 0.66, 0.02])[clusters]
    age = generator.choice(np.arange(-1, ages), size=number)[clusters]
    sex = generator.integers(2, size=number)[clusters]
    right = generator.random(n) < 0.8 - effect * (sex == 0)
    predicted = np.where(right, labels, generator.integers(7, size=n))
    groups = {"age": Groups("age", tuple(f"band {k}" for k in range(ages)), age)}
    groups["sex"] = Groups("sex", ("female", "male"), sex)
    return predictions_from_arrays(labels, classes=CLASSES, predicted=predicted, groups=groups, clusters=clusters)


@pytest.fixture(scope="module")
def audited():
    predictions = sample(900)
    return predictions, audit_predictions(predictions, bootstrap=300, permutations=200)


def every_record(node, path=()):
    if isinstance(node, dict) and node.keys() >= V_KEYS:
        yield path, node
    elif isinstance(node, dict):
        for key, child in node.items():
            yield from every_record(child, (*path, key))


def test_the_record_has_the_documented_keys_and_no_others(audited):
    predictions, audit = audited
    assert (audit["schema"], audit["task"], audit["n"], audit["classes"]) == (1, "single-label", 900, list(CLASSES))
    assert set(audit) == {"schema", "task", "n", "classes", "class_support", "settings", "overall", "attributes"}
    assert set(audit["overall"]) == GROUP_METRICS
    for name, attribute in audit["attributes"].items():
        assert list(attribute["groups"]) == list(predictions.groups[name].names)
        assert set(attribute) == {"n", "unknown", "left_out", "groups", "gaps", "per_class", "notes"}
        assert set(attribute["gaps"]) == GAPS
        assert list(attribute["per_class"]) == list(CLASSES)
        for group in attribute["groups"].values():
            assert set(group) == GROUP_METRICS | {"n", "flags"}
        assert all(set(record) == CLASS_GAPS | CLASS_RATES for record in attribute["per_class"].values())
    assert json.loads(json.dumps(audit, allow_nan=False)) == audit


def test_every_value_has_its_interval_or_a_reason(audited):
    _, audit = audited
    found = list(every_record(audit))
    assert len(found) > 60
    for path, record in found:
        is_gap = "gaps" in path or ("per_class" in path and not CLASS_RATES & set(path))
        assert set(record) == (G_KEYS if is_gap else V_KEYS)
        if record["value"] is None:
            assert record["reason"]
            assert record["low"] is None
        elif record["low"] is None:
            assert record["reason"].startswith("no interval")
        else:
            assert record["reason"] is None
            assert record["low"] <= record["value"] <= record["high"]


def test_values_are_those_of_the_rows(audited):
    predictions, audit = audited
    assert audit["overall"]["accuracy"]["value"] == pytest.approx((predictions.labels == predictions.predicted).mean())
    for name, groups in predictions.groups.items():
        known = groups.ids >= 0
        attribute = audit["attributes"][name]
        assert (attribute["n"], attribute["unknown"]) == (known.sum(), (~known).sum())
        overall = sk.accuracy_score(predictions.labels[known], predictions.predicted[known])
        terms = []
        for g, group in enumerate(groups.names):
            rows = groups.ids == g
            found = attribute["groups"][group]
            accuracy = sk.accuracy_score(predictions.labels[rows], predictions.predicted[rows])
            assert found["n"] == found["accuracy"]["n"] == rows.sum()
            assert found["accuracy"]["value"] == pytest.approx(accuracy)
            terms.append(abs(accuracy - overall))
        assert attribute["gaps"]["unfairness"]["value"] == pytest.approx(sum(terms))
        assert attribute["gaps"]["unfairness"]["n"] == known.sum()


def test_the_adverse_tail_is_low_where_larger_is_better(audited):
    _, audit = audited
    for name, gap in audit["attributes"]["age"]["gaps"].items():
        if gap["value"] is None:
            assert gap["reason"]
        elif METRICS.get(name).direction == "larger":
            assert gap["noise_p95"] <= gap["noise_mean"]
        else:
            assert gap["noise_p95"] >= gap["noise_mean"]


def test_the_same_seed_gives_the_same_record_and_another_does_not(audited):
    predictions, audit = audited
    assert audit_predictions(predictions, bootstrap=300, permutations=200) == audit
    assert audit_predictions(predictions, bootstrap=300, permutations=200, seed=1) != audit


def test_an_attributes_figures_do_not_depend_on_the_other_attributes(audited):
    predictions, audit = audited
    alone = predictions_from_arrays(
        predictions.labels, classes=CLASSES, predicted=predictions.predicted, clusters=predictions.clusters,
        groups={"sex": predictions.groups["sex"]},
    )  # fmt: skip
    again = audit_predictions(alone, bootstrap=300, permutations=200)
    assert again["attributes"]["sex"] == audit["attributes"]["sex"]


def test_an_effect_is_seen_above_its_noise_floor():
    audit = audit_predictions(sample(2000, effect=0.2), bootstrap=200, permutations=200)
    hurt, unhurt = audit["attributes"]["sex"]["gaps"], audit["attributes"]["age"]["gaps"]
    for name in ("unfairness", "unfairness_standardized", "accuracy_difference", "spd"):
        assert hurt[name]["low"] > 0
        assert hurt[name]["value"] > hurt[name]["noise_p95"]
        assert hurt[name]["p_value"] == pytest.approx(1 / 201)
        assert unhurt[name]["p_value"] > 0.05
    assert hurt["accuracy_ratio"]["high"] < 1
    assert hurt["accuracy_ratio"]["value"] < hurt["accuracy_ratio"]["noise_p95"]


def test_the_classes_with_support_are_told(audited):
    predictions, audit = audited
    assert list(audit["class_support"]) == list(CLASSES)
    assert sum(audit["class_support"].values()) == 900
    assert audit["class_support"]["nv"] == (predictions.labels == 5).sum()
    assert audit_predictions(predictions.take(np.arange(2)), bootstrap=0, permutations=0)["class_support"]["df"] == 0


def test_small_groups_and_missing_classes_are_flagged():
    labels = np.array([0] * 30 + [1] * 20 + [0] * 9)
    ids = np.array([0] * 50 + [1] * 9)
    predictions = predictions_from_arrays(
        labels, classes=("x", "y"), predicted=labels, groups={"a": Groups("a", ("big", "few"), ids)}
    )
    attribute = audit_predictions(predictions, bootstrap=20, permutations=20)["attributes"]["a"]
    assert attribute["groups"]["big"]["flags"] == []
    assert attribute["groups"]["few"]["flags"] == ["small", "no_positives:y"]
    odds = attribute["gaps"]["equalized_odds_abs_mean"]
    assert (odds["value"], odds["p_value"]) == (None, None)
    assert odds["reason"] == "no class has positives and negatives in every group"
    assert attribute["per_class"]["y"]["equalized_odds_abs_mean"]["reason"] == "no positives in group 'few'"
    assert attribute["notes"]["equalized_odds_abs_mean"] == (
        "classes left out (x: no negatives in group 'few'; y: no positives in group 'few')"
    )


def test_a_group_without_rows_is_undefined_and_in_no_gap():
    whole = sample(400, ages=3)
    rows = np.flatnonzero(whole.groups["age"].ids != 1)
    attribute = audit_predictions(whole.take(rows), bootstrap=30, permutations=30)["attributes"]["age"]
    empty = attribute["groups"]["band 1"]
    assert (empty["n"], empty["accuracy"]["value"], empty["accuracy"]["reason"]) == (0, None, "no rows")
    assert attribute["gaps"]["unfairness"]["value"] is not None
    assert attribute["notes"]["groups"] == "without rows, so in no gap: band 1"


@pytest.mark.parametrize("ids", [[0, 0, 0], [-1, -1, -1]])
def test_fewer_than_two_groups_have_no_gap_and_the_reason_says_so(ids):
    groups = {"a": Groups("a", ("x", "y"), np.array(ids))}
    predictions = predictions_from_arrays([0, 1, 1], classes=("n", "p"), predicted=[0, 1, 0], groups=groups)
    audit = audit_predictions(predictions, bootstrap=10, permutations=10)
    for gap in audit["attributes"]["a"]["gaps"].values():
        assert set(gap) == G_KEYS
        assert (gap["value"], gap["reason"]) == (None, "fewer than two groups have rows")


def test_without_bootstrap_and_permutations_there_are_values_alone():
    audit = audit_predictions(sample(200), bootstrap=0, permutations=0)
    gap = audit["attributes"]["sex"]["gaps"]["unfairness"]
    assert gap["value"] is not None
    assert (gap["low"], gap["noise_mean"], gap["p_value"]) == (None, None, None)
    assert gap["reason"] == ("no interval: no bootstrap was asked for; no noise floor: no permutations were asked for")
    with_bootstrap = audit_predictions(sample(200), bootstrap=20, permutations=0)["attributes"]["sex"]["gaps"]
    assert with_bootstrap["unfairness"]["low"] is not None
    assert with_bootstrap["unfairness"]["reason"] == "no noise floor: no permutations were asked for"


def test_no_rows_are_refused():
    with pytest.raises(DataError, match="the predictions have no rows"):
        audit_predictions(predictions_from_arrays([], classes=("a", "b"), predicted=[]))


def multi_label(n=400, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(2, size=(n, 3))
    chances = np.clip(labels * 0.4 + 0.3 + generator.normal(scale=0.3, size=(n, 3)), 0, 1)
    groups = {"sex": Groups("sex", ("f", "m"), generator.integers(2, size=n // 2)[np.arange(n) // 2])}
    return multi_label_from_arrays(
        labels, chances, label_names=("red", "raised", "hairy"), groups=groups, clusters=np.arange(n) // 2
    )


def test_a_mean_over_labels_names_the_label_that_leaves_it_no_interval():
    labels = np.stack([np.arange(60) % 2, np.arange(60) < 3], axis=1).astype(int)
    chances = np.clip(np.random.default_rng(0).normal(0.2 + 0.6 * labels, 0.4), 0, 1)
    made = multi_label_from_arrays(labels, chances, label_names=("red", "rare"))
    overall = audit_predictions(made, bootstrap=200, permutations=0)["overall"]["balanced_accuracy"]
    assert overall["reason"] == "no interval: class 'rare: 1' of the sample has 3 clusters"


def test_multi_label_predictions_are_audited_per_label_and_on_average():
    predictions = multi_label()
    audit = audit_predictions(predictions, bootstrap=500, permutations=50)
    assert (audit["schema"], audit["task"], audit["n"]) == (1, "multi-label", 400)
    assert list(audit["labels"]) == ["red", "raised", "hairy"]
    single = audit_predictions(predictions.by_label["red"], bootstrap=500, permutations=50)
    assert audit["labels"]["red"] == single
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        values = [audit["labels"][label]["overall"][name]["value"] for label in audit["labels"]]
        assert audit["overall"][name]["value"] == pytest.approx(np.mean(values))
        assert audit["overall"][name]["n"] == 400
    # labels are drawn independently here, so the mean of three has an interval about sqrt(3) times shorter
    widths = [v["high"] - v["low"] for v in (audit["labels"][k]["overall"]["accuracy"] for k in audit["labels"])]
    mean = audit["overall"]["accuracy"]
    assert (mean["high"] - mean["low"]) == pytest.approx(np.mean(widths) / np.sqrt(3), rel=0.2)


def test_a_trials_audit_takes_well_under_a_second():
    predictions = sample(1000, cluster_of=1)
    audit_predictions(predictions, bootstrap=10, permutations=10)
    start = time.process_time()
    audit_predictions(predictions)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("cluster_of", [1, 3])
def test_an_audit_of_a_hundred_thousand_rows_takes_a_few_seconds(cluster_of):
    predictions = sample(100_000, cluster_of=cluster_of)
    start = time.process_time()
    audit_predictions(predictions)
    assert time.process_time() - start < 6


def test_a_new_gap_metric_is_in_the_audit_by_being_registered(monkeypatch):
    class Halved(METRICS.get("accuracy_difference")):
        """Half the accuracy difference."""

        name = "halved"

        def norm(self, vector):
            return super().norm(vector) / 2

    monkeypatch.setitem(METRICS._entries, "halved", Halved)
    gaps = audit_predictions(sample(300), bootstrap=20, permutations=20)["attributes"]["sex"]["gaps"]
    assert gaps["halved"]["high"] is not None
    assert gaps["halved"]["value"] == pytest.approx(gaps["accuracy_difference"]["value"] / 2)


def test_auditing_needs_no_torch():
    code = "import sys, mindgap.audit.model_audit as a; a.group_metrics(); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
