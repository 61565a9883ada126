"""A sentence never stands on the wrong side of the evidence."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.report.estimate import Estimate
from mindgap.report.findings import cautions, findings
from mindgap.report.measures import measure_of
from mindgap.report.verdict import holm, judge, verdicts

U, RATIO = measure_of("unfairness"), measure_of("accuracy_ratio")
SURE = Estimate(0.3, 0.2, 0.4, 600, None, 0.05, 0.1, 0.001)


def test_a_gap_beyond_floor_interval_and_p_is_shown() -> None:
    assert judge(SURE, U, p_adjusted=0.001).kind == "shown"


@pytest.mark.parametrize(
    "changed",
    [
        {"value": 0.09, "low": 0.01},  # inside the floor's 95 %
        {"low": 0.0},  # the interval reaches parity
        {"noise_p95": None, "noise_mean": None},  # no floor
        {"low": None, "high": None},  # no interval
    ],
)
def test_a_gap_that_chance_explains_is_never_called_shown(changed: dict) -> None:
    verdict = judge(Estimate(**(vars(SURE) | changed)), U, p_adjusted=0.001)
    assert verdict.kind == "not shown"
    assert verdict.text.startswith(("not distinguishable from chance at n\u00a0=\u00a0600", "not judged"))


def test_a_p_over_the_level_is_never_called_shown() -> None:
    assert judge(SURE, U, p_adjusted=0.0501).kind == "not shown"
    assert judge(SURE, U, p_adjusted=None).kind == "not shown"


def test_an_undefined_gap_says_why() -> None:
    verdict = judge(Estimate(None, reason="one group is empty"), U, p_adjusted=None)
    assert (verdict.kind, verdict.text) == ("not defined", "not defined: one group is empty")


def test_a_ratio_is_shown_only_below_floor_and_one() -> None:
    below = Estimate(0.7, 0.6, 0.8, 600, None, 0.95, 0.9, 0.001)
    assert judge(below, RATIO, p_adjusted=0.001).kind == "shown"
    assert judge(Estimate(**(vars(below) | {"high": 1.01})), RATIO, p_adjusted=0.001).kind == "not shown"
    assert judge(Estimate(**(vars(below) | {"value": 0.92})), RATIO, p_adjusted=0.001).kind == "not shown"


numbers = st.one_of(st.none(), st.floats(0, 2))


@given(value=numbers, low=numbers, high=numbers, mean=numbers, p95=numbers, p=st.one_of(st.none(), st.floats(0, 1)))
@settings(deadline=None, derandomize=True)
def test_shown_implies_all_three_conditions_for_any_figure(value, low, high, mean, p95, p) -> None:
    verdict = judge(Estimate(value, low, high, 10, None, mean, p95, p), U, p_adjusted=p)
    if verdict.kind == "shown":
        assert value > p95
        assert low > 0
        assert p <= 0.05


def test_holm_by_hand() -> None:
    assert holm({"a": 0.04, "b": 0.01, "c": 0.03, "d": None}) == {"a": 0.06, "b": 0.03, "c": 0.06, "d": None}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(deadline=None, derandomize=True)
def test_holm_never_lowers_a_p_and_keeps_the_order(values: list[float]) -> None:
    adjusted = holm(dict(enumerate(values)))
    assert all(adjusted[i] >= value and adjusted[i] <= 1 for i, value in enumerate(values))
    by_p = sorted(range(len(values)), key=lambda i: values[i])
    assert all(adjusted[a] <= adjusted[b] for a, b in pairwise(by_p))


def test_p_values_are_adjusted_over_attributes_not_over_gaps(make_audit) -> None:
    judged = verdicts({"": make_audit(shown=True)})[""]
    assert judged["sex", "unfairness"].p_adjusted == pytest.approx(0.002)  # 0.001, two attributes
    assert judged["sex", "unfairness_standardized"].p_adjusted == pytest.approx(0.004)  # age's is undefined
    assert judged["sex", "f1_difference"].p_adjusted == pytest.approx(0.12)  # age has none


def test_the_finding_names_the_worst_group_of_at_least_thirty(make_audit) -> None:
    first = findings({"": make_audit(shown=True)}, lead="sex", subject="chosen network")[0]
    assert first.kind == "shown"
    assert first.title.startswith("A gap over sex is shown: the chosen network is right for 64.1\u202f% of female")
    assert any("other (n\u00a0=\u00a012)" in line and "Too few" in line for line in first.details)


def test_labels_of_a_multi_label_task_are_adjusted_together(make_audit) -> None:
    judged = verdicts({"a": make_audit(shown=True), "b": make_audit(shown=False)})
    assert judged["a"]["sex", "unfairness"].p_adjusted == pytest.approx(0.004)  # 0.001, two labels of two attributes


def test_a_lowest_group_that_is_small_leaves_open_who_is_worst_off(make_audit) -> None:
    groups = {"female": (0.641, 251), "male": (0.742, 331), "other": (0.2, 12)}
    first = findings({"": make_audit(shown=True, groups=groups)}, lead="sex")[0]
    assert "which group is worst off is open, as the lowest, other (n\u00a0=\u00a012), is too small" in first.title


def test_groups_whose_intervals_overlap_the_lowest_are_named(make_audit) -> None:
    groups = {"a": (0.60, 200), "b": (0.62, 200), "c": (0.75, 194)}
    first = findings({"": make_audit(shown=True, groups=groups)}, lead="sex")[0]
    assert "The interval of a overlaps that of b: which of them is worst off is open." in first.details[0]


def test_no_gap_is_said_with_its_n_and_without_a_promise(make_audit) -> None:
    first = findings({"": make_audit(shown=False)}, lead="sex")[0]
    assert first.title == "No gap over sex shown at this n (594 images)."
    said = " ".join(first.details)
    assert "may itself be chance" in said
    assert "a gap of up to 0.091 fits the data" in said


def test_the_leading_attribute_comes_first(make_audit) -> None:
    assert [finding.attribute for finding in findings({"": make_audit(shown=True)}, lead="age")] == ["age", "sex"]


def test_an_estimate_never_holds_a_nan() -> None:
    read = Estimate.read({"value": math.nan, "low": "x", "n": 3})
    assert read.value is None
    assert read.low is None
    assert read.reason == "no reason was recorded"
    assert Estimate.read(None).reason == "not recorded in this run"


def test_a_network_that_names_one_class_for_everyone_is_called_out(make_audit) -> None:
    audit = make_audit(shown=False)
    assert cautions({"": audit}, {}) == []
    audit["overall"]["balanced_accuracy"] = {"value": 1 / 3, "low": 1 / 3, "high": 1 / 3, "n": 600, "reason": None}
    said = cautions({"": audit}, {})[0]
    assert said.startswith("It is not shown to be better than naming one class for everyone")
    assert "n\u00a0=\u00a0600" in said


def test_a_search_without_a_candidate_above_the_limit_says_the_choice_is_arbitrary() -> None:
    search = {"reward": {"accuracy_floor": 0.5}, "trials": [{"accuracy": 0.4}, {"accuracy": None}]}
    assert "the choice among them is arbitrary" in cautions({}, search)[0]
    search["trials"].append({"accuracy": 0.5})
    assert cautions({}, search) == []


def test_the_mix_of_classes_is_only_blamed_for_a_gap_that_is_shown(make_audit) -> None:
    audit = make_audit(shown=False)
    audit["attributes"]["sex"]["gaps"]["unfairness_standardized"]["value"] = 0.001
    said = " ".join(findings({"": audit}, lead="sex")[0].details)
    assert "which classes each group has" not in said
