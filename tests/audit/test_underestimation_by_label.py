"""Underestimation scores and indices in the audit of several labels, each with its interval and noise floor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.groups import Groups
from mindgap.metrics.predictions import multi_label_from_arrays

LABELS = ("bald", "smiling")
# rows of women and men that are true negative, false positive, missed, and found
CELLS = {"bald": ((23, 2, 11, 14), (20, 5, 5, 20)), "smiling": ((10, 15, 5, 20), (25, 5, 10, 10))}


def by_hand(**options):
    """Two labels of 50 women and 50 men with the cells above."""
    kinds = [np.concatenate([np.repeat(np.arange(4), cells) for cells in CELLS[name]]) for name in LABELS]
    true = np.stack([kind >= 2 for kind in kinds], axis=1).astype(int)
    given = np.stack([kind % 2 == 1 for kind in kinds], axis=1)
    groups = {"gender": Groups("gender", ("female", "male"), np.repeat([0, 1], 50))}
    made = multi_label_from_arrays(true, np.where(given, 0.7, 0.2), label_names=LABELS, groups=groups)
    return {name: part["attributes"]["gender"] for name, part in audit_predictions(made, **options)["labels"].items()}


@pytest.fixture(scope="module")
def audited():
    return by_hand(bootstrap=400, permutations=200)


def test_every_label_has_the_scores_and_the_index_of_its_own_cells(audited):
    scores = {name: audited[name]["per_class"]["1"]["underestimation"] for name in LABELS}
    # given / has: women 16 of 25 and men 25 of 25 are bald; women 35 of 25 and men 15 of 20 smile
    assert {k: v["value"] for k, v in scores["bald"].items()} == {"female": 0.64, "male": 1.0}
    assert {k: v["value"] for k, v in scores["smiling"].items()} == {"female": 1.4, "male": 0.75}
    assert [scores["smiling"][group]["n"] for group in ("female", "male")] == [25, 20]
    bald = math.sqrt(((0.34**0.5 - 0.5) ** 2 + (0.16**0.5 - 0.5) ** 2) / 2)
    smiling = [(0.15, 0.25), (0.35, 0.25), (0.35, 0.30), (0.15, 0.20)]
    hellinger = math.sqrt(sum((math.sqrt(p) - math.sqrt(q)) ** 2 for p, q in smiling) / 2)
    assert audited["bald"]["gaps"]["uei"]["value"] == pytest.approx(bald)
    assert audited["smiling"]["gaps"]["uei"]["value"] == pytest.approx(hellinger)


@pytest.mark.parametrize("name", LABELS)
def test_every_labels_score_has_an_interval_and_its_index_a_floor_too(audited, name):
    for score in audited[name]["per_class"]["1"]["underestimation"].values():
        assert 0 < score["low"] < score["value"] < score["high"]
        assert score["low"] * score["high"] == pytest.approx(score["value"] ** 2)
    index = audited[name]["gaps"]["uei"]
    assert 0 <= index["low"] <= index["value"] <= index["high"] <= 1
    assert 0 < index["noise_mean"] <= index["noise_p95"] < 1
    assert 1 / 201 <= index["p_value"] <= 1
    # of a yes-or-no label either answer against the other is the same comparison
    of_answer = audited[name]["per_class"]["1"]["uei"]
    assert {k: of_answer[k] for k in ("value", "low", "high")} == pytest.approx(
        {k: index[k] for k in ("value", "low", "high")}
    )


def test_without_resamples_the_values_stay_and_say_what_was_not_asked_for(audited):
    alone = by_hand(bootstrap=0, permutations=0)
    for name in LABELS:
        index = alone[name]["gaps"]["uei"]
        assert index["value"] == audited[name]["gaps"]["uei"]["value"]
        assert (index["low"], index["noise_p95"]) == (None, None)
        assert index["reason"].startswith("no interval: no bootstrap was asked for; no noise floor")


def test_a_label_that_a_group_never_has_is_undefined_there_and_nowhere_else():
    generator = np.random.default_rng(0)
    group = np.arange(200) % 2
    true = np.stack([generator.integers(2, size=200) * group, generator.integers(2, size=200)], axis=1)
    chances = np.clip(0.2 + 0.6 * true + generator.normal(0, 0.3, true.shape), 0, 1)
    groups = {"gender": Groups("gender", ("female", "male"), group)}
    made = multi_label_from_arrays(true, chances, label_names=LABELS, groups=groups)
    record = audit_predictions(made, bootstrap=100, permutations=50)["labels"]
    scores = record["bald"]["attributes"]["gender"]["per_class"]["1"]["underestimation"]
    assert (scores["female"]["value"], scores["female"]["reason"]) == (None, "no positives")
    assert scores["male"]["value"] > 0
    assert record["bald"]["attributes"]["gender"]["gaps"]["uei"]["value"] > 0
    other = record["smiling"]["attributes"]["gender"]["per_class"]["1"]["underestimation"]
    assert all(score["value"] is not None for score in other.values())


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 3), st.integers(1, 3))
def test_the_figures_are_those_of_equations_one_and_two_over_the_rows_of_known_group(seed, n_groups, n_labels):
    generator = np.random.default_rng(seed)
    n = int(generator.integers(12, 60))
    ids = np.concatenate([np.arange(n_groups), generator.integers(-1, n_groups, n - n_groups)])
    true, chances = generator.integers(2, size=(n, n_labels)), generator.random((n, n_labels))
    groups = {"a": Groups("a", tuple("xyz"[:n_groups]), ids)}
    names = tuple(f"l{k}" for k in range(n_labels))
    made = multi_label_from_arrays(true, chances, label_names=names, groups=groups)
    record = audit_predictions(made, bootstrap=0, permutations=0)
    known = int((ids >= 0).sum())
    for k, name in enumerate(names):
        attribute, total = record["labels"][name]["attributes"]["a"], 0.0
        for g, group in enumerate("xyz"[:n_groups]):
            for answer in (0, 1):
                inside = ids == g
                has = sum(int(t == answer) for t in true[inside, k])
                gets = sum(int((c > 0.5) == answer) for c in chances[inside, k])
                score = attribute["per_class"][str(answer)]["underestimation"][group]["value"]
                assert score == (None if has == 0 else pytest.approx(gets / has))
                total += (math.sqrt(gets / known) - math.sqrt(has / known)) ** 2
        assert attribute["gaps"]["uei"]["value"] == pytest.approx(math.sqrt(total / 2), abs=1e-12)
