from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.audit.detectable_gap import Sample, detectable_difference


def test_the_worked_example_is_what_the_formula_gives():
    assert detectable_difference(0.8, 100, 100) == pytest.approx(0.1786, abs=1e-4)
    assert detectable_difference(0.8, 400, 400) == pytest.approx(0.0848, abs=1e-4)
    assert detectable_difference(0.8, 100, 1e9) == pytest.approx(0.1176, abs=1e-4)
    mean, worse = 0.71070, 0.62140
    needed = 1.95996 * math.sqrt(mean * (1 - mean) * 0.02)
    needed += 0.84162 * math.sqrt(worse * (1 - worse) / 100 + 0.16 / 100)
    assert needed == pytest.approx(0.1786, abs=1e-4)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.floats(0.3, 0.95), st.integers(20, 5000), st.integers(20, 5000))
def test_more_images_show_a_smaller_difference(accuracy, worse_n, other_n):
    delta = detectable_difference(accuracy, worse_n, other_n)
    for more in ((2 * worse_n, other_n), (worse_n, 2 * other_n)):
        smaller = detectable_difference(accuracy, *more)
        assert math.isnan(delta) or smaller <= delta + 1e-9


@pytest.mark.parametrize(("worse_n", "other_n"), [(60, 60), (40, 1000), (300, 200)])
def test_a_z_test_of_two_accuracies_finds_the_difference_in_four_of_five_samples(worse_n, other_n):
    delta = detectable_difference(0.8, worse_n, other_n)
    generator = np.random.default_rng(1)
    worse = generator.binomial(worse_n, 0.8 - delta, 20_000) / worse_n
    other = generator.binomial(other_n, 0.8, 20_000) / other_n
    mean = (worse * worse_n + other * other_n) / (worse_n + other_n)
    z = np.abs(worse - other) / np.sqrt(mean * (1 - mean) * (1 / worse_n + 1 / other_n))
    assert 0.77 < (z > 1.959964).mean() < 0.84


def test_a_side_that_is_too_small_shows_nothing():
    assert math.isnan(detectable_difference(0.8, 1, 1))
    assert math.isnan(detectable_difference(0.8, 0, 100))


def test_images_of_a_cluster_count_for_less():
    sample = Sample.of(np.array([0, 0, 0, 1]))
    assert (sample.n, sample.clusters, sample.cluster_size) == (4, 2, 2.5)
    assert sample.effective_n(0.5) == pytest.approx(4 / 1.75)
    assert sample.effective_n(0.0) == 4
    assert Sample.of(np.array([], dtype=np.int64)).effective_n(0.5) == 0
    pairs = Sample.of(np.repeat(np.arange(50), 2))
    assert pairs.effective_n(1.0) == 50
