from __future__ import annotations

import pytest

from mindgap.core.errors import ConfigError
from mindgap.search.method_choice import RULES, Point, selection_rule


def points(*figures: tuple[float, float, float]) -> list[Point]:
    """Tuning runs with these accuracies, U and worst-group accuracies, numbered from 0."""
    return [Point(trial, *of) for trial, of in enumerate(figures)]


def chosen(rule: str, own: list[Point], baseline: list[Point] | None = None) -> int:
    return selection_rule(rule).choose(own, own if baseline is None else baseline).trial


def test_the_worst_group_decides_then_the_accuracy_then_the_earlier_run():
    assert chosen("worst_group_accuracy", points((0.9, 0.1, 0.70), (0.8, 0.1, 0.74), (0.81, 0.3, 0.74))) == 2
    assert chosen("worst_group_accuracy", points((0.8, 0.1, 0.74), (0.8, 0.3, 0.74))) == 0


def test_the_most_accurate_run_within_the_baselines_u_is_chosen():
    baseline = points((0.80, 0.20, 0.7), (0.79, 0.05, 0.7))  # whose own pick is its most accurate, so the limit is .20
    own = points((0.82, 0.25, 0.7), (0.78, 0.15, 0.7), (0.77, 0.01, 0.7))
    assert chosen("accuracy_within_u", own, baseline) == 1
    assert chosen("accuracy_within_u", baseline, baseline) == 0


def test_where_no_run_is_within_that_u_it_is_the_least_and_said():
    choice = selection_rule("accuracy_within_u").choose(
        points((0.9, 0.4, 0.7), (0.8, 0.3, 0.7)), points((0.8, 0.2, 0.7))
    )
    assert choice.trial == 1
    assert choice.why == "least validation U, 0.300: none is within the baseline's 0.200"


def test_a_baseline_without_a_run_limits_nothing():
    assert chosen("accuracy_within_u", points((0.7, 0.1, 0.6), (0.8, 0.9, 0.6)), []) == 1


def test_the_knee_lies_furthest_beyond_the_ends_of_the_front():
    front = points((0.90, 0.30, 0.5), (0.88, 0.12, 0.5), (0.80, 0.10, 0.5), (0.79, 0.11, 0.5))
    assert chosen("pareto_knee", front) == 1
    assert chosen("pareto_knee", points((0.8, 0.1, 0.5), (0.9, 0.3, 0.5))) == 1  # both are ends: the more accurate
    assert chosen("pareto_knee", points((0.9, 0.1, 0.5), (0.8, 0.3, 0.5))) == 0  # one dominates


def test_a_rule_that_is_not_there_is_one_line():
    with pytest.raises(ConfigError, match=r"select is 'worst'; .*known: accuracy_within_u, pareto_knee, worst_group"):
        selection_rule("worst")
    assert set(RULES) == {"worst_group_accuracy", "accuracy_within_u", "pareto_knee"}
