"""Comparisons of whole models: what is the same, what is planted, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mindgap.audit.compared_models import Model, matched_models, paired_seeds
from mindgap.audit.comparison import ComparisonOptions, compare_models
from mindgap.audit.model_audit import audit_predictions
from mindgap.core.errors import ConfigError, DataError
from mindgap.core.groups import Groups
from mindgap.metrics.predictions import multi_label_from_arrays, predictions_from_arrays

FEW = ComparisonOptions(bootstrap=200, permutations=199)


def made(*, of_a=0.9, of_b=0.9, n=600, seed=0, own=0, scores=True, cluster_of=1):
    """Predictions of two classes for groups a and b that are right with those chances; ``own`` is the model's luck."""
    people, luck = np.random.default_rng(seed), np.random.default_rng((seed, own))
    labels, groups = people.integers(2, size=n), np.arange(n) // cluster_of % 2
    right = (0.5 * people.random(n) + 0.5 * luck.random(n)) < np.quantile(
        0.5 * people.random(5000) + 0.5 * luck.random(5000), np.where(groups == 0, of_a, of_b)
    )
    predicted = np.where(right, labels, 1 - labels)
    chance = np.where(predicted == 1, 0.5, 0.0) + 0.5 * luck.random(n)
    return predictions_from_arrays(
        labels,
        classes=("benign", "malignant"),
        probabilities=np.stack([1 - chance, chance], axis=1) if scores else None,
        predicted=predicted,
        groups={"sex": Groups("sex", ("a", "b"), groups)},
        clusters=np.arange(n) // cluster_of,
        ids=[f"i{k}" for k in range(n)],
    )


def model(name, *predictions, seeds=None):
    seeds = tuple(range(len(predictions))) if seeds is None else seeds
    return Model(name, tuple(f"{name}-{seed}" for seed in seeds), seeds, predictions)


def every_difference(record):
    yield from (of["B"] for of in record["overall"].values())
    for attribute in record["attributes"].values():
        yield from (of["B"] for of in attribute["gaps"].values())
        for figures in attribute["groups"].values():
            yield from (of["B"] for name, of in figures.items() if name != "n")


def test_identical_models_differ_in_nothing():
    record = compare_models([model("A", made(of_b=0.7)), model("B", made(of_b=0.7))], FEW)
    known = [one for one in every_difference(record) if one["value"] is not None]
    assert len(known) > 30
    assert {(one["value"], one["p_value"], one["reading"]) for one in known} == {(0.0, 1.0, "no difference shown")}
    assert record["attributes"]["sex"]["verdict"]["B"]["word"] == "no difference shown"


@pytest.mark.parametrize("cluster_of", [1, 3])
def test_a_planted_difference_is_found_and_lies_in_its_interval(cluster_of):
    first = made(of_a=0.95, of_b=0.70, n=1200, cluster_of=cluster_of)
    second = made(of_a=0.95, of_b=0.92, n=1200, own=1, cluster_of=cluster_of)
    record = compare_models([model("A", first), model("B", second)], FEW)
    gap = record["attributes"]["sex"]["gaps"]["unfairness"]["B"]
    assert gap["reading"] == "better"
    assert gap["low"] <= gap["value"] <= gap["high"] < 0
    assert gap["p_value"] == pytest.approx(1 / 200)
    assert record["attributes"]["sex"]["verdict"]["B"] == {"word": "helps", "gap": "unfairness", "harmless": True}
    assert record["overall"]["accuracy"]["B"]["reading"] == "better"
    assert record["attributes"]["sex"]["groups"]["b"]["accuracy"]["B"]["reading"] == "better"
    assert record["attributes"]["sex"]["groups"]["a"]["accuracy"]["B"]["reading"] == "no difference shown"


def test_a_gap_that_shrinks_because_all_lose_is_no_help():
    first, second = made(of_a=0.95, of_b=0.70, n=1200), made(of_a=0.66, of_b=0.66, n=1200, own=1)
    verdict = compare_models([model("A", first), model("B", second)], FEW)["attributes"]["sex"]["verdict"]["B"]
    assert verdict["word"] in {"levels down", "hurts"}
    other_way = compare_models([model("B", second), model("A", first)], FEW)["attributes"]["sex"]["verdict"]["A"]
    assert other_way["word"] == "hurts"


def test_figures_are_those_of_the_audits():
    first, second = made(of_b=0.7), made(of_b=0.8, own=1)
    record = compare_models([model("A", first), model("B", second)], FEW)
    audits = [audit_predictions(one, bootstrap=50, permutations=0) for one in (first, second)]
    for name, one in record["attributes"]["sex"]["gaps"].items():
        figures = [audit["attributes"]["sex"]["gaps"][name]["value"] for audit in audits]
        assert [one["B"]["first"], one["B"]["second"]] == pytest.approx(figures, abs=1e-12), name
        assert one["B"]["value"] == pytest.approx(figures[1] - figures[0], abs=1e-12)
    for name, one in record["overall"].items():
        assert one["B"]["second"] == pytest.approx(audits[1]["overall"][name]["value"])


def test_the_order_of_rows_and_classes_changes_nothing():
    first, second = made(of_b=0.7), made(of_b=0.85, own=1)
    turned = second.take(np.random.default_rng(1).permutation(second.n))
    turned = replace(
        turned,
        classes=turned.classes[::-1],
        labels=1 - turned.labels,
        predicted=1 - turned.predicted,
        probabilities=turned.probabilities[:, ::-1],
    )
    one, other = (compare_models([model("A", first), model("B", again)], FEW) for again in (second, turned))
    assert json.dumps(one) == json.dumps(other)


def test_the_other_order_of_models_turns_the_signs():
    first, second = made(of_b=0.7), made(of_b=0.85, own=1)
    one = compare_models([model("A", first), model("B", second)], FEW)["overall"]["accuracy"]["B"]
    other = compare_models([model("B", second), model("A", first)], FEW)["overall"]["accuracy"]["A"]
    assert other["value"] == pytest.approx(-one["value"])
    assert (other["low"], other["high"]) == (pytest.approx(-one["high"]), pytest.approx(-one["low"]))
    assert other["p_value"] == one["p_value"]


def test_what_keeps_either_model_from_an_interval_keeps_the_difference_whichever_comes_first():
    first, second = made(scores=False), made(scores=False, own=1)
    never = replace(second, predicted=np.where(second.groups["sex"].ids == 0, 0, second.predicted))
    for models in ([("A", first), ("B", never)], [("B", never), ("A", first)]):
        record = compare_models([model(*one) for one in models], FEW)
        (ratio,) = record["attributes"]["sex"]["gaps"]["selection_rate_ratio"].values()
        assert (ratio["low"], ratio["reading"]) == (None, "not judged")
        assert ratio["reason"] == "no interval: class 'malignant' is never predicted in group 'a'"


def test_several_seeds_are_one_model_whose_figures_are_their_means():
    firsts, seconds = [made(of_b=0.7, own=k) for k in range(3)], [made(of_b=0.8, own=k) for k in range(3, 6)]
    record = compare_models([model("A", *firsts), model("B", *seconds)], FEW)
    accuracy = record["overall"]["accuracy"]["B"]
    of_a, of_b = ([float((one.labels == one.predicted).mean()) for one in part] for part in (firsts, seconds))
    assert (accuracy["first"], accuracy["second"]) == (pytest.approx(np.mean(of_a)), pytest.approx(np.mean(of_b)))
    table = record["figures"]["A"]["overall"]["accuracy"]
    assert table["mean"] == pytest.approx(np.mean(of_a))
    assert table["sd"] == pytest.approx(np.std(of_a, ddof=1))
    assert table["n_seeds"] == 3
    assert [one["value"] for one in table["seeds"]] == pytest.approx(of_a)
    assert table["low"] == pytest.approx(np.mean([one["low"] for one in table["seeds"]]))
    gaps = record["figures"]["A"]["attributes"]["sex"]
    assert sorted(gaps) == [
        "abroca", "equalized_odds_abs_mean", "unfairness", "unfairness_standardized", "worst_group_accuracy"
    ]  # fmt: skip
    assert record["models"][1]["compared_seeds"] == [[0, 0], [1, 1], [2, 2]]


def test_one_seed_has_no_sd():
    record = compare_models(
        [model("A", made()), model("B", made(own=1))], ComparisonOptions(bootstrap=20, permutations=20)
    )
    assert record["figures"]["A"]["overall"]["accuracy"]["sd"] is None


def test_seeds_that_both_have_are_paired_and_else_they_are_in_order():
    many, few = model("A", *[made(n=20)] * 3, seeds=(0, 1, 2)), model("B", *[made(n=20)] * 2, seeds=(2, 7))
    assert paired_seeds(many, few) == [(2, 0)]
    assert paired_seeds(many, model("B", *[made(n=20)] * 2, seeds=(8, 7))) == [(0, 0), (1, 1)]
    assert paired_seeds(many, model("B", made(n=20), seeds=(None,))) == [(0, 0)]


def test_one_model_alone_is_a_table_of_its_seeds():
    record = compare_models([model("A", made(), made(own=1))], ComparisonOptions(bootstrap=20, permutations=20))
    assert record["figures"]["A"]["overall"]["accuracy"]["n_seeds"] == 2
    assert record["attributes"]["sex"]["gaps"] == {}


def test_a_model_without_scores_takes_them_from_the_comparison():
    first, second = made(of_b=0.7), made(of_b=0.8, own=1, scores=False)
    record = compare_models([model("A", first), model("B", second)], FEW)
    assert record["overall"]["macro_auroc"]["B"]["reason"] == "no probabilities, only predicted classes"
    assert record["overall"]["accuracy"]["B"]["value"] is not None


def test_a_class_that_a_model_without_scores_never_names_is_still_one():
    labels, ids = [0, 1, 0, 1] * 10, [f"i{k}" for k in range(40)]
    groups = {"sex": Groups("sex", ("a", "b"), np.arange(40) // 2 % 2)}
    first = predictions_from_arrays(labels, classes=("p", "q"), predicted=labels, groups=groups, ids=ids)
    third = [2, 1, 0, 1] * 10
    second = predictions_from_arrays(labels, classes=("p", "q", "r"), predicted=third, groups=groups, ids=ids)
    found = matched_models([model("A", first), model("B", second)])
    assert [one.predictions[0].classes for one in found.models] == [("p", "q", "r")] * 2
    assert found.models[1].predictions[0].predicted.tolist() == third


def test_labels_are_compared_one_by_one_and_adjusted_together():
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=(200, 2))
    groups = {"sex": Groups("sex", ("a", "b"), np.arange(200) % 2)}

    def several(noise):
        chance = np.clip(labels * 0.6 + 0.2 + noise * generator.normal(size=labels.shape), 0, 1)
        return multi_label_from_arrays(labels, chance, label_names=("x", "y"), groups=groups)

    record = compare_models([model("A", several(0.1)), model("B", several(0.4))], FEW)
    assert record["task"] == "multi-label"
    assert list(record["labels"]) == ["x", "y"]
    accuracy = record["labels"]["x"]["overall"]["accuracy"]["B"]
    assert accuracy["p_holm"] == pytest.approx(2 * accuracy["p_value"])
    assert record["labels"]["y"]["attributes"]["sex"]["verdict"]["B"]["word"] in {"hurts", "no difference shown"}


def test_a_group_of_few_clusters_has_no_interval():
    one = made(n=60)
    few = {"sex": Groups("sex", ("a", "b"), np.array([1] * 3 + [0] * 57))}
    first, second = replace(one, groups=few), replace(made(n=60, own=1), labels=one.labels, groups=few)
    record = compare_models([model("A", first), model("B", second)], FEW)
    assert (
        record["attributes"]["sex"]["groups"]["b"]["accuracy"]["B"]["reason"] == "no interval: group 'b' has 3 clusters"
    )
    assert "3 clusters" in record["attributes"]["sex"]["gaps"]["unfairness"]["B"]["reason"]


def test_the_reason_is_that_of_the_model_whose_figure_is_undefined():
    first, second = made(n=60), made(n=60)
    never = replace(second, predicted=1 - second.labels, probabilities=None)
    record = compare_models([model("A", replace(first, probabilities=None)), model("B", never)], FEW)
    ratio = record["attributes"]["sex"]["gaps"]["accuracy_ratio"]["B"]
    assert (ratio["value"], ratio["first"] is None, ratio["second"]) == (None, False, None)
    assert ratio["reason"] == "no row of any group is predicted right"
    assert (ratio["reading"], ratio["p_value"]) == ("not defined", None)


def test_what_leaves_one_model_without_an_interval_leaves_the_difference_without():
    first = replace(made(of_b=0.7), probabilities=None)
    second = replace(first, predicted=np.where(first.groups["sex"].ids == 0, 0, first.predicted))
    ratio = compare_models([model("A", first), model("B", second)], FEW)["attributes"]["sex"]["gaps"][
        "selection_rate_ratio"
    ]
    assert ratio["B"]["reason"] == "no interval: class 'malignant' is never predicted in group 'a'"


def test_rows_of_unknown_group_are_in_the_overall_figures_alone():
    unknown = {"sex": Groups("sex", ("a", "b"), np.where(np.arange(600) < 50, -1, np.arange(600) % 2))}
    models = [model("A", replace(made(), groups=unknown)), model("B", replace(made(own=1), groups=unknown))]
    record = compare_models(models, ComparisonOptions(bootstrap=20, permutations=20))
    assert record["overall"]["accuracy"]["B"]["n"] == 600
    assert (record["attributes"]["sex"]["n"], record["attributes"]["sex"]["unknown"]) == (550, 50)


def test_without_resamples_nothing_is_judged():
    record = compare_models(
        [model("A", made(of_b=0.6)), model("B", made(own=1))], ComparisonOptions(bootstrap=0, permutations=0)
    )
    readings = {(one["reading"], one["why"]) for one in every_difference(record) if one["value"] is not None}
    assert readings == {("not judged", "no p-value: no permutations were asked for")}
    json.dumps(record, allow_nan=False)


def test_the_record_is_plain_json_and_the_same_again():
    models = [model("A", made(of_b=0.7)), model("B", made(own=1))]
    one, other = (json.dumps(compare_models(models, FEW), allow_nan=False) for _ in range(2))
    assert one == other


def test_refusals():
    with pytest.raises(ConfigError, match="gap 'unfairnes' is unknown for this task; did you mean 'unfairness'"):
        compare_models([model("A", made(n=40)), model("B", made(n=40))], ComparisonOptions(gap="unfairnes"))
    with pytest.raises(ConfigError, match="models must have different names, got A, A"):
        compare_models([model("A", made(n=40)), model("A", made(n=40))], FEW)
    with pytest.raises(DataError, match="ids differ: 20 of A-0 are not in B-0, such as 'i20'"):
        compare_models([model("A", made(n=40)), model("B", made(n=40).take(np.arange(20)))], FEW)
    with pytest.raises(DataError, match="has no rows"):
        compare_models([model("A", made(n=40).take(np.arange(0)))], FEW)
