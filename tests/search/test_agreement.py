"""Kendall's τ between a rung and the last."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from mindgap.search.agreement import agreement, tau_interval, weighted_tau
from mindgap.search.decider import Decider
from mindgap.search.rungs import Promotion, RungPlan
from mindgap.testing.made_slots import judged, result


def test_tau_by_hand():
    ones = np.ones(3)
    assert weighted_tau(np.array([1.0, 2, 3]), np.array([1.0, 3, 2]), ones) == pytest.approx(1 / 3)
    assert weighted_tau(np.array([1.0, 2, 3]), np.array([3.0, 2, 1]), ones) == pytest.approx(-1.0)
    assert math.isnan(weighted_tau(np.array([1.0, 1, 1]), np.array([1.0, 3, 2]), ones))


def test_a_weight_counts_as_so_many_items_against_every_other():
    first, second = np.array([1.0, 2, 3]), np.array([1.0, 3, 2])
    # pairs (0,1), (0,2) agree with weights 4 and 4, pair (1,2) disagrees with 1
    assert weighted_tau(first, second, np.array([4.0, 1, 1])) == pytest.approx(7 / 9)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=20))
def test_equal_weights_are_scipys_tau_b(pairs):
    first, second = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    ours = float(weighted_tau(first, second, np.ones(len(first))))
    theirs = float(kendalltau(first, second).statistic)
    assert ours == pytest.approx(theirs, nan_ok=True)


def test_the_interval_covers_the_truth_at_about_its_rate():
    covered = 0
    truth = 2 / np.pi * np.arcsin(0.7)  # of a normal pair with correlation 0.7
    for seed in range(200):
        first, noise = np.random.default_rng(seed).normal(size=(2, 40))
        low, high = tau_interval(first, 0.7 * first + math.sqrt(1 - 0.49) * noise, seed=seed)[1:]
        covered += low <= truth <= high
    assert 0.88 <= covered / 200 <= 0.99


def slots(n, *, share):
    """Every candidate ranks at the end as at first, but for those that were not promoted."""
    made = [judged(i, result(i / n)) for i in range(n)]
    rungs = RungPlan(epochs=(1, 8), bracket=n, promotion=Promotion(control_share=share, objectives=("accuracy",)))
    for slot in Decider(rungs)(made):
        if slot.fate.aim == 1:
            made[slot.number] = judged(
                slot.number, result(slot.number / n), result(slot.number / n, 0.5 - slot.number / n)
            )
    return Decider(rungs)(made), rungs


def test_a_rung_that_ranks_as_the_end_does_has_tau_one():
    decided, rungs = slots(24, share=0.5)
    (first,) = agreement(decided, rungs)
    reached = [slot for slot in decided if 1 in slot.judged]
    assert (first["epochs"], first["n"]) == (1, len(reached))
    assert first["n_control"] == sum(slot.is_control for slot in reached) > 0
    assert first["accuracy"] == {
        "tau": pytest.approx(1.0),
        "low": pytest.approx(1.0),
        "high": pytest.approx(1.0),
        "reason": None,
    }
    assert first["unfairness"]["tau"] is None, "all had the same at first"
    assert first["unfairness"]["reason"] == "all candidates are equal"


def test_too_few_candidates_have_no_tau_but_a_reason():
    decided, rungs = slots(8, share=0.0)
    (first,) = agreement(decided, rungs)
    assert first["n"] == 2
    assert first["accuracy"]["tau"] is None
    assert first["accuracy"]["reason"] == "fewer than 5 candidates reached both rungs"
