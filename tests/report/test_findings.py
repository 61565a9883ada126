"""A sentence never stands on the wrong side of the evidence."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindgap.metrics.holm import holm
from mindgap.report.estimate import Estimate
from mindgap.report.findings import findings
from mindgap.report.measures import measure_of
from mindgap.report.overview import overview
from mindgap.report.standing import Standing
from mindgap.report.verdict import judge, verdicts

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
    assert verdict.text.startswith(("not distinguishable from chance and case mix at n\u00a0=\u00a0600", "not judged"))


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


APART = {"female": (0.60, 251), "male": (0.75, 331), "other": (0.7, 12)}


def test_the_finding_names_the_worst_group_of_at_least_thirty(make_audit) -> None:
    first = findings({"": make_audit(shown=True, groups=APART)}, lead="sex", subject="chosen network")[0]
    assert first.kind == "shown"
    assert first.title.startswith("A gap over sex is shown: the chosen network is right for 60.0\u202f% of female")
    assert first.details[0].startswith("Of the groups with at least 30 images, the worst and the best off are female")
    assert any("other (n\u00a0=\u00a012)" in line and "Too few" in line for line in first.details)


def test_labels_of_a_multi_label_task_are_adjusted_together(make_audit) -> None:
    judged = verdicts({"a": make_audit(shown=True), "b": make_audit(shown=False)})
    assert judged["a"]["sex", "unfairness"].p_adjusted == pytest.approx(0.004)  # 0.001, two labels of two attributes


def test_a_lowest_group_that_is_small_leaves_open_who_is_worst_off(make_audit) -> None:
    groups = {"female": (0.641, 251), "male": (0.742, 331), "other": (0.2, 12)}
    first = findings({"": make_audit(shown=True, groups=groups)}, lead="sex")[0]
    assert "which group is worst off is open, as the lowest, other (n\u00a0=\u00a012), is too small" in first.title


def test_a_highest_group_that_is_small_leaves_open_who_is_best_off(make_audit) -> None:
    groups = {"A": (0.798, 500), "B": (0.802, 500), "dark": (1.0, 25)}
    first = findings({"": make_audit(shown=True, groups=groups)}, lead="sex")[0]
    assert first.title == (
        "A gap over sex is shown; which group is best off is open, as the highest, dark (n\u00a0=\u00a025), "
        "is too small."
    )
    said = " ".join(first.details)
    assert "worst and the best off" not in said
    # (399 + 401 + 25) / 1025 = 0.8049; dark is 0.1951 above it, A and B 0.0069 and 0.0029 below
    assert "The largest term is that of dark (n\u00a0=\u00a025, under 30 images), 0.195 above overall." in said


def test_small_groups_on_both_ends_leave_both_open(make_audit) -> None:
    groups = {"A": (0.6, 500), "B": (0.8, 500), "low": (0.2, 10), "high": (1.0, 10)}
    title = findings({"": make_audit(shown=True, groups=groups)}, lead="sex")[0].title
    assert "which groups are worst and best off is open" in title
    assert "low (n\u00a0=\u00a010)" in title
    assert "high (n\u00a0=\u00a010)" in title


def test_groups_whose_intervals_overlap_are_not_contrasted_in_a_title(make_audit) -> None:
    groups = {"female": (0.641, 251), "male": (0.742, 331)}
    first = findings({"": make_audit(shown=True, groups=groups)}, lead="sex")[0]
    assert first.title == (
        "A gap over sex is shown, though the intervals of its lowest and highest group, female and male, overlap."
    )
    assert first.details[0].startswith("The lowest and the highest point estimates: female")


def test_groups_without_an_interval_are_not_contrasted_in_a_title(make_audit) -> None:
    audit = make_audit(shown=True, groups=APART)
    audit["attributes"]["sex"]["groups"]["male"]["accuracy"] |= {"low": None, "high": None, "reason": "one cluster"}
    first = findings({"": audit}, lead="sex")[0]
    assert (
        first.title == "A gap over sex is shown, though female or male, its lowest and highest group, has no interval."
    )
    assert "no interval: one cluster" in first.details[0]


def test_a_low_small_group_is_not_passed_over_when_no_gap_is_shown(make_audit) -> None:
    groups = {"A": (0.70, 251), "B": (0.72, 331), "dark": (0.4, 5)}
    first = findings({"": make_audit(shown=False, groups=groups)}, lead="sex")[0]
    assert first.details[0].startswith("Of the groups with at least 30 images, the lowest and the highest")
    assert "dark (n\u00a0=\u00a05) lies lower still, but has too few images to place it." in first.details[0]


@pytest.mark.parametrize("shown", [True, False])
def test_when_every_group_is_small_the_title_says_so(make_audit, shown: bool) -> None:
    groups = {"A": (0.5, 12), "B": (0.9, 20)}
    first = findings({"": make_audit(shown=shown, groups=groups)}, lead="sex")[0]
    assert "every group has under 30 images" in first.title
    assert "right for" not in first.title
    assert "at least 30 images" not in " ".join(first.details)


def test_without_small_groups_no_filter_is_spoken_of(make_audit) -> None:
    groups = {"A": (0.55, 251), "B": (0.75, 331)}
    first = findings({"": make_audit(shown=True, groups=groups)}, lead="sex")[0]
    assert first.details[0].startswith("The worst and the best off are A")


rates = st.floats(0, 1).map(lambda x: round(x, 3))


@given(groups=st.dictionaries(st.sampled_from("abcdef"), st.tuples(rates, st.integers(1, 400)), min_size=2))
@settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_title_contrasts_only_large_groups_that_are_the_extremes_of_all(make_audit, groups: dict) -> None:
    title = findings({"": make_audit(shown=True, groups=groups)}, lead="sex")[0].title
    if "is right for" in title:
        low, high = (min(groups, key=lambda g: groups[g][0]), max(groups, key=lambda g: groups[g][0]))
        worst, best = re.search(r"of (\w) and .* of (\w)\.$", title).groups()
        assert groups[worst][0] == groups[low][0]
        assert groups[best][0] == groups[high][0]
        assert min(groups[worst][1], groups[best][1]) >= 30


def test_groups_whose_intervals_overlap_the_lowest_are_named(make_audit) -> None:
    groups = {"a": (0.60, 200), "b": (0.62, 200), "c": (0.78, 194)}
    first = findings({"": make_audit(shown=True, groups=groups)}, lead="sex")[0]
    assert "The interval of a overlaps that of b: which of them is worst off is open." in first.details[0]


def test_no_gap_is_said_with_its_n_and_without_a_promise(make_audit) -> None:
    first = findings({"": make_audit(shown=False)}, lead="sex")[0]
    assert first.title == (
        "No gap in accuracy over sex shown: a U of 0.041 is not distinguishable from chance and case mix at this n "
        "(594 images)."
    )
    said = " ".join(first.details)
    assert "may itself be chance" in said
    assert "a gap of up to 0.091 fits the data" in said


STRAY = {"female": (0.64, 251), "male": (0.80, 331), "other": (1.0, 1)}


def test_a_stray_row_that_takes_the_interval_from_u_leaves_the_question_open(make_audit) -> None:
    audit = make_audit(shown=False, groups=STRAY)
    audit["attributes"]["sex"]["gaps"]["unfairness"] |= {
        "low": None,
        "high": None,
        "reason": "no interval: group 'other' has 1 cluster",
    }
    first = findings({"": audit}, lead="sex")[0]
    assert first.title == (
        "Whether there is a gap in accuracy over sex is open: other (n\u00a0=\u00a01) is too small, and it counts in "
        "U, which has no interval then; `mindgap audit --min-group 30` leaves such groups out."
    )
    assert "may itself be chance" not in " ".join(first.details)  # their intervals do not overlap
    assert overview(findings({"": audit}, lead="sex")) == (
        "No gap in accuracy is shown beyond chance and case mix over age. Over sex the gap is not judged."
    )


def test_small_groups_that_count_are_said_to_count_and_those_left_out_are_not(make_audit) -> None:
    audit = make_audit(shown=False, groups=STRAY)
    counted = "say anything of: other (n\u00a0=\u00a01). other counts in U all the same; `mindgap audit --min-group 30`"
    assert counted in " ".join(findings({"": audit}, lead="sex")[0].details)
    audit["attributes"]["sex"]["left_out"] = ["other"]
    said = " ".join(findings({"": audit}, lead="sex")[0].details)
    assert "say anything of: other (n\u00a0=\u00a01)." in said
    assert "all the same" not in said
    audit["attributes"]["sex"] |= {"left_out": []}
    audit["attributes"]["sex"]["groups"]["other"] |= {"n": 0, "accuracy": {"value": None, "reason": "no rows"}}
    assert "all the same" not in " ".join(findings({"": audit}, lead="sex")[0].details)  # of no row it is in no gap


@pytest.mark.parametrize(
    "reason", ["no interval: no bootstrap was asked for", "no interval: group 'female' has 4 clusters"]
)
def test_a_small_group_is_not_blamed_for_what_another_cause_does(make_audit, reason: str) -> None:
    audit = make_audit(shown=False, groups=STRAY)
    audit["attributes"]["sex"]["gaps"]["unfairness"] |= {"low": None, "high": None, "reason": reason}
    assert findings({"": audit}, lead="sex")[0].title.startswith("No gap in accuracy over sex shown")


@pytest.mark.parametrize(("p", "named"), [(0.01, True), (0.03, False)])  # of two gaps that were looked at
def test_a_gap_in_other_errors_is_named_where_none_in_accuracy_is_shown(make_audit, make_gap, p, named) -> None:
    audit = make_audit(shown=False)
    audit["attributes"]["sex"]["gaps"]["equalized_odds_abs_mean"] = make_gap(0.267, p=p, n=594)
    audit["attributes"]["sex"]["gaps"]["abroca"] = make_gap(0.05, p=0.4, n=594)
    first = findings({"": audit}, lead="sex")[0]
    said = "shown, but one in Equalised odds, abs-mean: a U of 0.041 is not"
    assert (said in first.title) == named
    assert ("abs-mean is 0.267" in " ".join(first.details)) == named
    assert first.kind == "not shown"
    assert ("Over sex one in Equalised odds, abs-mean is shown." in overview(findings({"": audit}))) == named


def test_the_leading_attribute_comes_first(make_audit) -> None:
    assert [finding.attribute for finding in findings({"": make_audit(shown=True)}, lead="age")] == ["age", "sex"]


def test_an_estimate_never_holds_a_nan() -> None:
    read = Estimate.read({"value": math.nan, "low": "x", "n": 3})
    assert read.value is None
    assert read.low is None
    assert read.reason == "no reason was recorded"
    assert Estimate.read(None).reason == "not recorded in this run"


def test_the_mix_of_classes_is_only_blamed_for_a_gap_that_is_shown(make_audit) -> None:
    audit = make_audit(shown=False)
    audit["attributes"]["sex"]["gaps"]["unfairness_standardized"]["value"] = 0.001
    said = " ".join(findings({"": audit}, lead="sex")[0].details)
    assert "which classes each group has" not in said


def test_a_gap_that_the_mix_may_explain_is_said_so_only_if_all_rows_are_compared(make_audit) -> None:
    record = make_audit(shown=True, groups=APART)
    part = record["attributes"]["sex"]
    part["gaps"]["unfairness_standardized"] |= {"value": 0.05, "low": 0.0, "high": 0.1, "p_value": 0.3}
    assert "cannot be told apart at this n" in " ".join(findings({"": record}, lead="sex")[0].details)
    part["gaps"]["unfairness_standardized"]["n"] = 400
    part["notes"] = {"unfairness_standardized": "classes compared: nevus; left out: melanoma (32.7% of the rows)"}
    said = " ".join(findings({"": record}, lead="sex")[0].details)
    assert "Classes compared: nevus; left out: melanoma (32.7% of the rows)." in said
    assert "comes from the mix" not in said
    assert "so the two differ by the classes left out as well as by the mix of classes" in said


def test_a_class_without_rows_leaves_nothing_out(make_audit) -> None:
    record = make_audit(shown=True, groups=APART)
    part = record["attributes"]["sex"]
    part["gaps"]["unfairness_standardized"] |= {"value": 0.07, "low": 0.02, "high": 0.1}
    part["notes"] = {"unfairness_standardized": "classes compared: nevus; left out: melanoma (0.0% of the rows)"}
    assert "much of it goes with which classes each group has" in " ".join(findings({"": record})[0].details)


def test_an_undefined_standardised_gap_still_says_which_classes_could_be_compared(make_audit) -> None:
    record = make_audit(shown=False)
    record["attributes"]["age"]["notes"] = {"unfairness_standardized": "classes compared: none; left out: nevus (100%)"}
    said = " ".join(findings({"": record}, lead="age")[0].details)
    assert "U is not defined: classes common to all groups hold 0.31 of the samples, under half. Classes" in said


def test_holm_counts_only_the_p_values_that_are_there(make_audit) -> None:
    record = make_audit(shown=True)
    record["attributes"]["age"]["gaps"]["unfairness"] = {"value": None, "n": 0, "reason": "one group"}
    said = " ".join(findings({"": record}, lead="sex")[0].details)
    assert "Holm" not in said
    record["attributes"]["age"]["gaps"]["unfairness"] = {"value": 0.1, "low": 0.0, "high": 0.2, "p_value": None, "n": 9}
    assert "Holm" not in " ".join(findings({"": record}, lead="sex")[0].details)


def test_a_gap_without_an_interval_is_not_judged_and_says_why() -> None:
    bare = Estimate(**(vars(SURE) | {"low": None, "high": None, "reason": "group dark has 1 cluster"}))
    verdict = judge(bare, U, p_adjusted=0.001)
    assert verdict.kind == "not shown"
    assert verdict.text == "not judged: no interval (group dark has 1 cluster), n\u00a0=\u00a0600"


def test_groups_that_do_differ_within_their_floor_are_not_called_chance(make_audit) -> None:
    """On HAM10000, ages of 93 % and 40 % right are what their classes alone would give: no chance, but the mix."""
    groups = {"young": (0.928, 83), "old": (0.398, 460)}
    said = findings({"": make_audit(shown=False, groups=groups)}, lead="sex")[0].details[0]
    assert "may itself be chance" not in said
    assert "Their intervals are apart; groups redrawn with the same mix of classes can differ as much." in said


@pytest.mark.parametrize(
    ("lacks", "reason", "said"),
    [
        (("low", "high"), "no interval: group 'dark' has 1 cluster", "no interval, as group 'dark' has 1 cluster"),
        (("noise_p95",), "no noise floor: no permutations were asked for", "no noise floor: no permutations"),
        (("noise_p95",), None, "no noise floor"),
        (("low", "high", "noise_p95"), None, "no noise floor or interval"),
    ],
)
def test_what_is_missing_to_judge_is_said_once(lacks: tuple[str, ...], reason: str | None, said: str) -> None:
    bare = Estimate(**(vars(SURE) | dict.fromkeys(lacks) | {"reason": reason}))
    text = judge(bare, U, p_adjusted=None).text
    assert text.startswith(f"not judged: {said}")
    assert text.count("no interval") <= 1
    assert text.count("no noise floor") <= 1


@pytest.mark.parametrize("changed", [{"value": 0.09}, {}])
def test_a_gap_within_its_floor_needs_no_interval_to_be_called_so(changed: dict) -> None:
    bare = Estimate(**(vars(SURE) | {"low": None, "high": None, "reason": "no interval: 1 cluster"} | changed))
    text = judge(bare, U, p_adjusted=0.001 if changed else 0.4).text
    assert text.startswith("not distinguishable from chance and case mix")


def test_a_floor_redrawn_over_all_classes_is_not_said_to_hold_the_case_mix(make_audit) -> None:
    audit = make_audit(shown=False, groups={"a": (0.6, 300), "b": (0.8, 300)}) | {"settings": {"floor": "all-classes"}}
    first, second = findings({"": audit}, lead="sex")
    said = " ".join([first.title, *first.details[:2]])
    assert "not distinguishable from chance at this n" in said
    assert "groups redrawn at random can differ as much" in said
    assert "Groups drawn at random among all images, whatever their class, give 0.030 on average" in said
    assert "chance and case mix" not in said + overview([first, second])


def test_a_gap_that_lacks_only_an_interval_is_not_called_chance_and_says_what_to_do(make_audit) -> None:
    audit = make_audit(shown=True, groups=APART)
    audit["attributes"]["sex"]["gaps"]["unfairness"] |= {"low": None, "high": None, "reason": "no interval: group 'x'"}
    first = findings({"": audit}, lead="sex")[0]
    said = " ".join(first.details)
    assert first.title.startswith("The gap over sex is not judged: no interval, as group 'x'")
    assert "That is beyond the floor, but without an interval it is not called shown" in said
    assert "may itself be chance" not in said
    assert "worst" not in said


def test_a_group_left_out_of_the_gaps_as_asked_is_no_lowest_or_highest(make_audit):
    audit = make_audit(shown=True, groups={"a": (0.6, 400), "b": (0.8, 400), "tiny": (1.0, 3)})
    attribute = next(iter(audit["attributes"].values()))
    assert Standing.of(attribute).high_doubt is not None
    attribute["left_out"] = ["tiny"]
    standing = Standing.of(attribute)
    assert [group.name for group in standing.ordered] == ["a", "b"]
    assert (standing.high_doubt, standing.left_out) == (None, ())
    assert standing.overall == pytest.approx(0.7)
