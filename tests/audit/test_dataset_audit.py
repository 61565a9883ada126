from __future__ import annotations

import json

import numpy as np
import pytest

from mindgap.audit.dataset_audit import DatasetArrays, audit_dataset
from mindgap.core.errors import ConfigError, DataError, ShapeError
from mindgap.core.groups import Groups

N = 400


def arrays(n=N, **changes):
    """Two groups of 3:1, three classes of which the small group lacks one, a tenth of unknown group, no clusters."""
    rows = np.arange(n)
    sex = np.where(rows % 4 == 0, 1, 0)
    labels = rows // 4 % 3
    labels[(sex == 1) & (labels == 2)] = 0
    sex[rows % 10 == 3] = -1
    plain = {
        "ids": np.array([f"i{k}" for k in rows], dtype=object),
        "classes": ("bkl", "mel", "nv"),
        "labels": labels,
        "splits": np.array(["train", "train", "validation", "test"], dtype=object)[rows // 16 % 4],
        "clusters": rows,
        "cluster_names": np.full(n, None, dtype=object),
        "groups": {"sex": Groups("sex", ("f", "m"), sex)},
    }
    return DatasetArrays(**plain | changes)


def test_counts_add_up_and_flags_name_what_is_lacking():
    record = audit_dataset(arrays(), permutations=50)
    sex = record["attributes"]["sex"]
    assert sex["n"] + sex["unknown"] == N
    for split, table in sex["splits"].items():
        for name, group in table["groups"].items():
            assert sum(group["classes"].values()) == group["n"], (split, name)
    test = sex["splits"]["test"]
    assert "no_positives:nv" in test["groups"]["m"]["flags"]
    assert test["small_groups"] == ["m"]
    assert test["small_cells"]["m"] == test["groups"]["m"]["classes"]
    assert sum(one["n"] for one in record["splits"].values()) == N


def test_it_says_which_gaps_can_be_computed_and_over_which_classes():
    answerable = audit_dataset(arrays(), permutations=50)["attributes"]["sex"]["answerable"]
    assert answerable["gaps"]["unfairness"]["defined"]
    assert "nv: no positives in group 'm'" in answerable["gaps"]["equalized_odds_abs_mean"]["note"]
    assert answerable["standardized"]["left_out"] == ["nv"]
    assert 0.5 < answerable["standardized"]["covered"] < 1


def test_case_mix_is_told_apart_from_chance():
    mix = audit_dataset(arrays())["attributes"]["sex"]["case_mix"]
    assert mix["cramers_v"] > 0.2
    assert mix["p_value"] < 0.01


def test_without_a_test_split_the_validation_split_is_judged():
    splits = np.array(["train", "validation"], dtype=object)[np.arange(N) % 2]
    record = audit_dataset(arrays(splits=splits), permutations=50)
    assert record["judged_on"] == record["attributes"]["sex"]["detectable"]["split"] == "validation"


def test_a_group_of_few_clusters_shows_nothing_and_says_why():
    clusters = np.arange(N)
    sex = arrays().groups["sex"].ids
    clusters[sex == 1] = N + np.arange(N)[sex == 1] % 3
    found = audit_dataset(arrays(clusters=clusters), permutations=50)["attributes"]["sex"]["detectable"]["groups"]["m"]
    assert found["versus_rest"] == {"value": None, "reason": found["versus_rest"]["reason"]}
    assert "under 5 there is no interval" in found["versus_rest"]["reason"]
    assert found["unfairness"]["worse_by"] is None


def test_clusters_make_the_smallest_gap_larger():
    alone = audit_dataset(arrays(), permutations=50)["attributes"]["sex"]["detectable"]["groups"]["f"]
    pairs = audit_dataset(arrays(clusters=np.arange(N) // 2), permutations=50)
    paired = pairs["attributes"]["sex"]["detectable"]["groups"]["f"]
    assert paired["effective_n"] < alone["effective_n"] == alone["n"]
    assert paired["versus_rest"]["value"] > alone["versus_rest"]["value"]
    assert paired["unfairness"]["worse_by"] > alone["unfairness"]["worse_by"]


def test_a_higher_accuracy_shows_smaller_gaps_and_the_table_holds_the_asked_one():
    found = audit_dataset(arrays(), accuracy=0.95, permutations=50)["attributes"]["sex"]["detectable"]
    assert list(found["by_accuracy"]) == ["0.7", "0.8", "0.9", "0.95"]
    by = [found["by_accuracy"][key]["groups"]["f"] for key in found["by_accuracy"]]
    assert by == sorted(by, reverse=True)
    assert by[-1] == found["groups"]["f"]["versus_rest"]["value"]


def test_several_labels_have_a_table_each():
    labels = np.stack([np.arange(N) % 2, np.arange(N) % 4 == 0], axis=1).astype(np.uint8)
    record = audit_dataset(arrays(labels=labels, classes=("red", "hat")), permutations=50)
    sex = record["attributes"]["sex"]
    assert record["task"] == "multi-label"
    assert list(sex["case_mix"]["labels"]) == list(sex["answerable"]["labels"]) == ["red", "hat"]
    assert sex["case_mix"]["labels"]["hat"]["cramers_v"] > 0.9
    assert "no_negatives:hat" in sex["splits"]["test"]["groups"]["m"]["flags"]
    assert not sex["answerable"]["labels"]["hat"]["gaps"]["equalized_odds_abs_mean"]["defined"]


def test_the_record_is_json_and_the_same_for_the_same_seed():
    first, second = audit_dataset(arrays(), permutations=50), audit_dataset(arrays(), permutations=50)
    assert json.dumps(first, allow_nan=False) == json.dumps(second, allow_nan=False)


def test_tone_is_said_to_be_unknown_before_it_is_measured():
    record = audit_dataset(arrays(), permutations=50)
    assert record["tone"] is None
    assert "mindgap tone" in record["tone_reason"]


@pytest.mark.parametrize(
    ("options", "said"),
    [({"accuracy": 1.0}, "accuracy=1"), ({"accuracy": 0.0}, "accuracy=0"), ({"icc": 1.5}, "icc=1.5")],
)
def test_an_assumption_out_of_range_is_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        audit_dataset(arrays(), **options)


def test_nothing_to_audit_is_refused():
    empty = {key: getattr(arrays(), key)[:0] for key in ("ids", "labels", "splits", "clusters", "cluster_names")}
    with pytest.raises(DataError, match="no images"):
        audit_dataset(DatasetArrays(classes=("a", "b"), groups={}, **empty))
    with pytest.raises(DataError, match="no row is in a split"):
        audit_dataset(arrays(splits=np.full(N, "elsewhere", dtype=object)))
    with pytest.raises(ShapeError, match="same length"):
        arrays(clusters=np.arange(N - 1))
