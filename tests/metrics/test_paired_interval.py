"""Intervals of differences between two models: by hand, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mindgap.audit.alike import moves_if_alike
from mindgap.metrics.metric import METRICS
from mindgap.metrics.paired_interval import Moves, difference_interval

WIDE = (-math.inf, math.inf)
LEVELS = np.linspace(-1, 1, 2001)  # its 2.5 and 97.5 % points are −.95 and .95


def test_a_smooth_difference_has_the_percentiles_of_the_paired_differences():
    low, high, reason = difference_interval(0.5, Moves(LEVELS), Moves(3 * LEVELS), bends=False, limits=WIDE)
    assert (low, high, reason) == (pytest.approx(0.5 - 1.9), pytest.approx(0.5 + 1.9), None)


def test_the_interval_holds_the_value():
    low, high, _ = difference_interval(0.5, Moves(np.zeros(2001)), Moves(LEVELS + 2), bends=False, limits=WIDE)
    assert (low, high) == (0.5, pytest.approx(0.5 + 2.95))


def test_of_a_bent_difference_both_the_percentiles_and_their_mirror_image_are_in():
    moved = LEVELS + np.where(LEVELS > 0, LEVELS, 0) - 0.25  # from −1.25 to 1.75 with mean 0
    low, high, _ = difference_interval(0.0, Moves(np.zeros(2001)), Moves(moved), bends=True, limits=WIDE)
    assert (low, high) == (pytest.approx(-1.65, abs=0.01), pytest.approx(1.65, abs=0.01))


def test_no_difference_is_larger_than_the_figures_can_be_apart():
    low, high, _ = difference_interval(0.6, Moves(LEVELS), Moves(3 * LEVELS), bends=True, limits=(0.0, 1.0))
    assert (low, high) == (-1, 1)


def test_what_chance_raises_lies_twice_more_beyond_what_the_replicates_show():
    low, high, _ = difference_interval(0.0, Moves(np.zeros(2001)), Moves(LEVELS + 0.1), bends=True, limits=WIDE)
    assert low == pytest.approx(-(0.95 + 0.1 + 2 * 0.1))
    assert high == pytest.approx(0.95 + 0.1)
    mirrored = difference_interval(0.0, Moves(LEVELS + 0.1), Moves(np.zeros(2001)), bends=True, limits=WIDE)
    assert mirrored[:2] == (pytest.approx(-high), pytest.approx(-low))


def test_groups_that_may_be_alike_are_allowed_for():
    first = Moves(0.01 * LEVELS, alike=np.abs(LEVELS))
    low, high, _ = difference_interval(0.0, first, Moves(np.zeros(2001)), bends=True, limits=WIDE)
    assert high == pytest.approx(np.quantile(np.abs(LEVELS), 0.975))
    assert -0.05 < low < 0


@pytest.mark.parametrize("alike", [None, np.abs(LEVELS)], ids=["groups told apart", "groups that may be alike"])
def test_models_that_never_differ_have_no_interval(alike):
    model = Moves(LEVELS, alike)
    low, high, reason = difference_interval(0.0, model, model, bends=True, limits=WIDE)
    assert math.isnan(low)
    assert math.isnan(high)
    assert reason == "no interval: almost no resample moves this difference"


def test_undefined_differences_and_replicates():
    nothing = Moves(np.empty(0))
    assert (
        difference_interval(0.1, nothing, nothing, bends=True, limits=WIDE)[2]
        == "no interval: no bootstrap was asked for"
    )
    assert difference_interval(math.nan, Moves(LEVELS), Moves(LEVELS), bends=True, limits=WIDE)[2] is None
    holes = np.where(np.arange(2001) % 5 == 0, np.nan, LEVELS)
    reason = difference_interval(0.1, Moves(holes), Moves(np.zeros(2001)), bends=False, limits=WIDE)[2]
    assert reason == "no interval: undefined in 401 of 2001 bootstrap replicates"


def alike(name, replicates, reference, *, distance=None):
    values = {("gap", name): np.empty(0), ("distance", name): distance, ("group", "accuracy"): replicates}
    known = {("gap", name): np.float64(reference[0]), ("group", "accuracy"): reference[1]}
    present = np.ones(3, dtype=bool)
    return moves_if_alike(METRICS.get(name)(), values, known, index=None, present=present)


def test_a_gap_within_chance_moves_as_chance_does_and_a_larger_one_is_told_apart():
    distance = np.linspace(0, 0.1, 101)
    np.testing.assert_array_equal(alike("unfairness", None, (0.05, None), distance=distance), distance)
    assert alike("unfairness", None, (0.11, None), distance=distance) is None
    np.testing.assert_allclose(alike("accuracy_ratio", None, (0.95, None), distance=distance), np.exp(-distance) - 1)
    assert alike("accuracy_ratio", None, (0.8, None), distance=distance) is None
    assert alike("accuracy_ratio", None, (0.0, None), distance=distance) is None


def test_the_worst_group_may_be_any_that_is_near_the_lowest():
    observed = np.array([0.70, 0.71, 0.90])
    replicates = observed + np.array([[0.02, -0.02, 0.0], [-0.02, 0.02, -0.03], [0.0, 0.0, 0.03]])
    np.testing.assert_allclose(alike("worst_group_accuracy", replicates, (0.7, observed)), [-0.02, -0.02, 0.0])
    apart = np.array([0.5, 0.71, 0.9])
    assert alike("worst_group_accuracy", apart + (replicates - observed) / 50, (0.5, apart)) is None


def errors_of_two(generator, first, second, *, n, correlation):
    """Who is right, bool (2, G, n), with errors of the two models correlated on the normal scale."""
    shared = generator.normal(size=(len(first), n))
    own = generator.normal(size=(2, len(first), n))
    luck = stats.norm.cdf(math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own)
    return luck < np.stack([first, second])[:, :, None]


def replicates_of(right, generator, *, size=300):
    """Accuracies of both models in the same resamples of each group, (2, R, G)."""
    cells = right[0] * 2 + right[1]
    found = []
    for group in cells:
        times = np.bincount(group, minlength=4)
        found.append(generator.multinomial(len(group), times / len(group), size=size) / len(group))
    shares = np.stack(found, axis=1)
    return np.stack([shares[..., 2] + shares[..., 3], shares[..., 1] + shares[..., 3]])


GAPS = {
    "unfairness": lambda accuracy: np.abs(accuracy - accuracy.mean(axis=-1, keepdims=True)).sum(axis=-1),
    "accuracy_difference": lambda accuracy: np.ptp(accuracy, axis=-1),
    "worst_group_accuracy": lambda accuracy: accuracy.min(axis=-1),
}


def coverage(name, first, second, *, trials, n=500, correlation=0.9):
    """Share of made-up samples whose interval of a difference holds the truth, and of plain percentiles."""
    gap, metric = GAPS[name], METRICS.get(name)()
    truth = float(gap(np.asarray(second)) - gap(np.asarray(first)))
    hits = np.zeros(2)
    for seed in range(trials):
        generator = np.random.default_rng(seed)
        right = errors_of_two(generator, first, second, n=n, correlation=correlation)
        observed, drawn = right.mean(axis=-1), replicates_of(right, generator)
        moves = []
        for own, again in zip(observed, drawn, strict=True):
            deviation = again - own
            if name == "unfairness":
                deviation = deviation - deviation.mean(axis=-1, keepdims=True)
            values = {("gap", name): gap(again), ("group", "accuracy"): again}
            values["distance", name] = gap(deviation)
            known = {("gap", name): gap(own), ("group", "accuracy"): own}
            present = np.ones(len(own), dtype=bool)
            moves.append(
                Moves(gap(again) - gap(own), moves_if_alike(metric, values, known, index=None, present=present))
            )
        value = float(gap(observed[1]) - gap(observed[0]))
        for k, bends in enumerate((True, False)):
            low, high, _ = difference_interval(value, *moves, bends=bends, limits=WIDE)
            hits[k] += low <= truth <= high
    return hits / trials


CASES = {
    "both at parity": ([0.8] * 6, [0.8] * 6),
    "the same gap": ([0.85, 0.8, 0.75, 0.7], [0.85, 0.8, 0.75, 0.7]),
    "no gap and a small one": ([0.8] * 2, [0.82, 0.78]),
    "no gap and a larger one": ([0.8] * 2, [0.83, 0.77]),
    "no gap and a large one": ([0.8] * 6, [0.85, 0.8, 0.75, 0.7, 0.8, 0.8]),
    "no gap and one lower group": ([0.8] * 4, [0.8, 0.8, 0.8, 0.7]),
    "two gaps": ([0.8, 0.8, 0.8, 0.7, 0.7, 0.7], [0.85, 0.8, 0.75, 0.7, 0.8, 0.8]),
    "the other way round": ([0.79, 0.81], [0.83, 0.77]),
}


def test_intervals_hold_the_truth_between_a_gap_and_none_where_percentiles_do_not():
    ours, percentiles = coverage("unfairness", *CASES["no gap and a large one"], trials=150)
    assert ours >= 0.93
    assert percentiles <= 0.7


@pytest.mark.slow
@pytest.mark.parametrize("name", list(GAPS))
@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.parametrize("correlation", [0.5, 0.9])
def test_intervals_of_differences_between_gaps_hold_the_truth(name, case, correlation):
    assert coverage(name, *CASES[case], trials=2000, correlation=correlation)[0] >= 0.93 - 0.01  # 2 sd of 2000 trials
