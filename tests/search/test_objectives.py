from __future__ import annotations

from dataclasses import replace

import pytest

from mindgap.search.objectives import WORST, figures, front_ranks, violation
from mindgap.search.searcher import Outcome

GOOD = Outcome(0, (0,), 0.1, accuracy=0.8, unfairness=0.1, macs=10)
WORSE = Outcome(1, (1,), 0.0, accuracy=0.7, unfairness=0.2, macs=20)
SMALL = Outcome(2, (2,), -0.1, accuracy=0.6, unfairness=0.3, macs=5)
BELOW_FLOOR = Outcome(3, (3,), -1.0, accuracy=0.4, unfairness=0.0, macs=1, feasible=False)
FURTHER_BELOW = Outcome(4, (4,), -1.0, accuracy=0.3, unfairness=0.0, macs=1, feasible=False)
FAILED = Outcome(5, (5,), -1.6)


def test_figures_are_accuracy_unfairness_and_macs():
    assert figures(GOOD) == (0.8, 0.1, 10.0)
    assert figures(FAILED) == WORST


@pytest.mark.parametrize(
    ("outcome", "expected"), [(GOOD, 0.0), (BELOW_FLOOR, 0.6), (FURTHER_BELOW, 0.7), (FAILED, 2.0)]
)
def test_a_candidate_below_the_floor_or_failed_is_infeasible(outcome, expected):
    assert violation(outcome) == pytest.approx(expected)


def test_infeasible_candidates_rank_behind_all_feasible_ones():
    ranks = front_ranks([FAILED, WORSE, BELOW_FLOOR, GOOD, FURTHER_BELOW, SMALL])
    assert ranks.tolist() == [4, 1, 2, 0, 3, 0]


def test_ranks_of_infeasible_candidates_alone_start_at_0():
    assert front_ranks([FAILED, BELOW_FLOOR]).tolist() == [1, 0]


def test_a_candidate_above_the_floor_is_feasible_however_low_its_reward():
    """A large weight of U in eq. 2 takes rewards below that of a candidate under the floor."""
    low = [replace(GOOD, reward=-1.34), replace(WORSE, reward=-1.11)]
    assert [violation(outcome) for outcome in low] == [0.0, 0.0]
    assert front_ranks(low).tolist() == [0, 1]
