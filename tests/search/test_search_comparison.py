from __future__ import annotations

import math

import pytest
from scipy import stats

from mindgap.report.searches_compared import reference_sentence
from mindgap.search.search_comparison import SearchRuns, compare_searches, difference, mean_over_seeds


def run(*trials, floor=0.5, seed=0, epochs=4, **changes):
    """A search whose trials are (accuracy, U, MACs, image passes), or passes alone of one that was pruned."""
    written = []
    for slot, trial in enumerate(trials):
        accuracy, unfairness, macs, passes = trial if isinstance(trial, tuple) else (0.9, 0.0, 1, trial)
        state = "complete" if isinstance(trial, tuple) else "pruned"
        figures = {"accuracy": accuracy, "unfairness": unfairness, "macs": macs, "image_passes": passes}
        written.append({"slot": slot, "state": state, "epochs": epochs, **figures})
    record = {
        "seed": seed,
        "searcher": "random",
        "attribute": "sex",
        "unfairness": "plain",
        "excluded_groups": [],
        "fingerprint": "abc",
        "reward": {"accuracy_floor": floor},
        "trials": written,
    }
    return record | changes


def test_two_searches_by_hand():
    """Reference: accuracy .5 (the floor), 1.1·.4 in U and 1.1·10 MACs; the box to (1, 0, 0) is .5·.44·11 = 2.42.

    A reaches .4·.24·9/2.42 at once and .4·.34·9/2.42 after 300 passes; B .3·.24·6/2.42 after its pruned trial, which
    holds the box of its last one.
    """
    first = run((0.9, 0.2, 2, 100), (0.9, 0.1, 2, 200))
    second = run(50, (0.8, 0.2, 5, 100), (0.6, 0.4, 10, 10))
    found = compare_searches([SearchRuns("a", (first,)), SearchRuns("b", (second,))])
    assert found["reference"] == pytest.approx({"accuracy": 0.5, "unfairness": 0.44, "macs": 11})
    assert found["equal_passes"] == 160
    one, other = found["searches"]
    assert one["final"]["value"] == pytest.approx(1.224 / 2.42)
    assert one["at_equal_passes"]["value"] == pytest.approx(0.864 / 2.42)  # 300 passes are beyond 160
    assert other["final"]["value"] == other["at_equal_passes"]["value"] == pytest.approx(0.432 / 2.42)
    assert other["difference_at_equal_passes"]["value"] == pytest.approx((0.432 - 0.864) / 2.42)
    assert other["curves"][0]["image_passes"] == [0, 150, 160]
    assert other["curves"][0]["hypervolume"] == pytest.approx([0, 0.432 / 2.42, 0.432 / 2.42])
    assert "one seed" in one["final"]["reason"]
    assert math.isnan(one["final"]["low"])


def test_searches_that_were_not_trained_equally_long_are_told_apart():
    first, longer = run((0.9, 0.2, 2, 100)), run((0.9, 0.2, 2, 100), epochs=20)
    alike, other = (
        compare_searches([SearchRuns("a", (first,)), SearchRuns("b", (second,))]) for second in (first, longer)
    )
    assert "equally long" not in reference_sentence(alike)
    assert "not trained equally long (epochs: a 4, b 20)" in reference_sentence(other)


def test_the_lowest_floor_is_the_common_one_and_candidates_at_or_below_it_do_not_count():
    first = run((0.6, 0.1, 2, 1), (0.5, 0.9, 99, 1), floor=0.5)
    second = run((0.8, 0.2, 4, 1), floor=0.7)
    found = compare_searches([SearchRuns("a", (first,)), SearchRuns("b", (second,))])
    assert found["reference"] == pytest.approx({"accuracy": 0.5, "unfairness": 0.22, "macs": 4.4})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("fingerprint", "xyz", "different stores"),
        ("attribute", "age", "different attributes (a: sex; b: age)"),
        ("unfairness", "standardized", "different kinds of U"),
        ("excluded_groups", ["old"], "different groups left out of U (a: none; b: old)"),
    ],
)
def test_searches_that_are_not_alike_are_not_compared(key, value, words):
    first, second = run((0.9, 0.2, 2, 100)), run((0.9, 0.2, 2, 100), **{key: value})
    found = compare_searches([SearchRuns("a", (first,)), SearchRuns("b", (second,))])
    assert set(found) == {"reason"}
    assert words in found["reason"]


def test_runs_of_one_search_over_different_attributes_are_told_apart():
    found = compare_searches([SearchRuns("a", (run((0.9, 0.2, 2, 1)), run((0.9, 0.2, 2, 1), attribute="age")))])
    assert "different attributes" in found["reason"]


def test_without_a_candidate_above_the_floor_there_is_a_reason():
    found = compare_searches([SearchRuns("a", (run((0.4, 0.1, 1, 1), 5),))])
    assert found == {"reason": "no candidate of any search is above its accuracy floor"}


def test_the_interval_over_seeds_is_students_by_hand():
    found = mean_over_seeds([0.2, 0.4])
    assert found["value"] == pytest.approx(0.3)
    assert found["high"] - found["value"] == pytest.approx(12.7062 * 0.1, rel=1e-4)
    assert found["n"] == 2


def test_the_difference_is_welchs_as_scipy_has_it():
    first, second = [0.2, 0.3, 0.25, 0.4], [0.5, 0.45, 0.7]
    found = difference(first, second)
    expected = stats.ttest_ind(second, first, equal_var=False).confidence_interval()
    assert (found["low"], found["high"], found["n"]) == (pytest.approx(expected.low), pytest.approx(expected.high), 7)


@pytest.mark.parametrize(
    ("first", "second", "why"), [([0.1], [0.2, 0.3], "one seed"), ([0.1] * 2, [0.2] * 2, "the same")]
)
def test_a_difference_without_spread_has_a_reason_and_no_interval(first, second, why):
    found = difference(first, second)
    assert why in found["reason"]
    assert math.isnan(found["low"])
    assert math.isnan(found["high"])
