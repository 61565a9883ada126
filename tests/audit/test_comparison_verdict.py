"""What may be said of a difference, and of what a model does to a gap."""

from __future__ import annotations

import pytest

from mindgap.audit.comparison_verdict import NO_P, TOO_FEW, attribute_verdict, read, read_differences


def difference(value=0.1, low=0.05, high=0.15, *, p=0.001, better="smaller", **more):
    return {
        "value": value,
        "low": low,
        "high": high,
        "p_value": p,
        "p_holm": p,
        "better": better,
        "reason": None,
    } | more


@pytest.mark.parametrize(
    ("record", "reading"),
    [
        (difference(), "worse"),
        (difference(better="larger"), "better"),
        (difference(-0.1, -0.15, -0.05), "better"),
        (difference(-0.1, -0.15, -0.05, better="larger"), "worse"),
        (difference(low=-0.01), "no difference shown"),
        (difference(low=0.0), "no difference shown"),
        (difference(p=0.06), "no difference shown"),
        (difference(p=0.06, low=None, high=None), "no difference shown"),
        (difference(p=0.05), "worse"),
    ],
)
def test_a_difference_is_shown_by_a_small_p_and_an_interval_without_zero(record, reading):
    assert read(record, permutations=1000) == (reading, None)


@pytest.mark.parametrize(
    ("record", "reading", "why"),
    [
        (difference(None, None, None, p=None, reason="no rows"), "not defined", "no rows"),
        (difference(p=None), "not judged", NO_P),
        (difference(low=None, high=None, reason="no interval: few"), "not judged", "no interval: few"),
        (difference(p=1 / 100, p_holm=0.06), "not judged", TOO_FEW),
        (difference(p=2 / 100, p_holm=0.12), "no difference shown", None),
    ],
)
def test_what_cannot_be_judged_says_why(record, reading, why):
    assert read(record, permutations=99) == (reading, why)


def part(**gaps):
    names = {"unfairness": gaps.get("unfairness"), "worst_group_accuracy": gaps.get("worst_group_accuracy")}
    attribute = {"groups": {}, "gaps": {name: {"B": one} for name, one in names.items()}}
    return {"overall": {}, "attributes": {gaps.get("name", "sex"): attribute}}


SMALLER = {"value": -0.1, "low": -0.15, "high": -0.05}
LARGER = {"value": 0.1, "low": 0.05, "high": 0.15}
SAME = {"value": 0.01, "low": -0.05, "high": 0.06, "p": 0.6}


def worst(value, low, high, p=0.001):
    return difference(value, low, high, p=p, better="larger")


@pytest.mark.parametrize(
    ("gap", "of_worst", "word", "harmless"),
    [
        (LARGER, worst(0.1, 0.05, 0.15), "hurts", None),
        (SAME, worst(-0.05, -0.08, -0.02), "hurts", None),
        (SMALLER, worst(-0.05, -0.08, -0.02), "hurts", None),  # rule 7: hurts goes before helps
        (SAME, worst(-0.05, -0.08, -0.005), "no difference shown", None),
        (SMALLER, worst(0.02, -0.005, 0.04), "helps", True),
        (SMALLER, worst(0.0, -0.03, 0.03, p=0.9), "helps", False),
        (SMALLER, worst(-0.01, -0.04, 0.02, p=0.5), "helps", False),
        (SMALLER, worst(-0.02, -0.05, 0.01, p=0.2), "levels down", None),
        (SAME, worst(0.0, -0.01, 0.01, p=1.0), "no difference shown", None),
        (SMALLER | {"low": None, "high": None, "reason": "few"}, worst(0.0, -0.01, 0.01, p=1.0), "not judged", None),
    ],
)
def test_verdicts_follow_their_order(gap, of_worst, word, harmless):
    found = part(unfairness=difference(**gap), worst_group_accuracy=of_worst)
    read_differences({"": found}, permutations=1000)
    verdict = attribute_verdict(found["attributes"]["sex"]["gaps"], "B", gap="unfairness")
    assert verdict == {"word": word, "gap": "unfairness", "harmless": harmless}


def test_a_model_that_helps_without_an_interval_of_its_worst_group_is_not_called_harmless():
    found = part(unfairness=difference(**SMALLER), worst_group_accuracy=worst(0.02, None, None, p=0.5))
    read_differences({"": found}, permutations=1000)
    verdict = attribute_verdict(found["attributes"]["sex"]["gaps"], "B", gap="unfairness")
    assert (verdict["word"], verdict["harmless"]) == ("helps", False)


def test_p_values_are_adjusted_over_attributes_models_and_labels_for_each_metric():
    records = [difference(p=p) for p in (0.01, 0.02, 0.03)]
    alone = difference(p=0.04)
    parts = {
        "x": {
            "overall": {"accuracy": {"B": difference(p=0.04), "C": difference(p=0.03)}},
            "attributes": {
                "sex": {"groups": {}, "gaps": {"unfairness": {"B": records[0], "C": records[1]}, "spd": {"B": alone}}},
                "age": {"groups": {"old": {"n": 5, "accuracy": {"B": difference(p=0.02)}}}, "gaps": {}},
            },
        },
        "y": {"overall": {}, "attributes": {"sex": {"groups": {}, "gaps": {"unfairness": {"B": records[2]}}}}},
    }  # fmt: skip
    read_differences(parts, permutations=1000)
    assert [one["p_holm"] for one in records] == pytest.approx([0.03, 0.04, 0.04])
    overall = parts["x"]["overall"]["accuracy"]
    assert [overall[name]["p_holm"] for name in "BC"] == pytest.approx([0.06, 0.06])
    assert alone["p_holm"] == 0.04
    assert parts["x"]["attributes"]["age"]["groups"]["old"]["accuracy"]["B"]["reading"] == "worse"


def test_an_attribute_of_one_group_has_no_verdict():
    assert attribute_verdict({}, "B", gap="unfairness")["word"] == "not defined"
