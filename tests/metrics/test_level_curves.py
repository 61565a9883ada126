"""Curves of many replicates from numbers at levels: by hand, in batches, of many rows, and sums in few bits."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.metrics.level_curves import GRID, LevelCounts, auroc_of_levels, curves_of_levels, running_totals
from mindgap.metrics.sparse_counts import Incidence
from mindgap.metrics.tallies import LevelTally


def levels_of(seed, *, lengths=(5, 0, 30, 1), replicates=3, most=4):
    generator = np.random.default_rng(seed)
    positives, negatives = generator.integers(most, size=(2, sum(lengths), replicates)).astype(np.int16)
    return LevelCounts(positives, negatives, np.cumsum([0, *lengths]))


def both(counts):
    out = np.empty((len(counts.starts) - 1, GRID, counts.positives.shape[1]), dtype=np.float32)
    return curves_of_levels(counts, out), out


def test_a_curve_by_hand():
    # a positive, two negatives, a positive tied with a negative, highest score first
    counts = LevelCounts(np.array([[1], [0], [1]]), np.array([[0], [2], [1]]), np.array([0, 3]))
    auroc, curves = both(counts)
    assert auroc.tolist() == [[(2 * 1 + 1.5) / (2 * 3)]]
    x = (np.arange(GRID) + 0.5) / GRID
    np.testing.assert_allclose(curves[0, :, 0], np.where(x < 2 / 3, 0.5, 0.5 + 0.5 * (3 * x - 2)), atol=1e-6)


def test_without_positives_or_negatives_there_is_no_curve():
    zeros, ones = np.zeros((2, 1), dtype=np.int16), np.ones((2, 1), dtype=np.int16)
    for positives, negatives in ((zeros, ones), (ones, zeros), (zeros, zeros)):
        auroc, curves = both(LevelCounts(positives, negatives, np.array([0, 2])))
        assert np.isnan(auroc).all()
        assert np.isnan(curves).all()


@pytest.mark.parametrize("most", [1, 40, 10**6])
def test_batches_change_nothing(monkeypatch, most):
    counts = levels_of(0)
    alone = [both(LevelCounts(counts.positives[a:b], counts.negatives[a:b], np.array([0, b - a])))
             for a, b in zip(counts.starts[:-1], counts.starts[1:], strict=True)]  # fmt: skip
    monkeypatch.setattr("mindgap.metrics.level_curves._BATCH", most)
    auroc, curves = both(counts)
    np.testing.assert_array_equal(auroc, np.concatenate([one for one, _ in alone], axis=1))
    np.testing.assert_array_equal(curves, np.concatenate([one for _, one in alone]))
    np.testing.assert_array_equal(auroc_of_levels(counts), auroc)


def test_rests_are_what_is_not_in_the_group():
    counts = levels_of(1, lengths=(6, 6, 6))
    rests = counts.with_rests(np.ones(3, dtype=bool))
    assert rests.starts.tolist() == [0, 6, 12, 18, 24, 30, 36]
    np.testing.assert_array_equal(rests.positives[24:30], counts.positives[:6] + counts.positives[12:18])
    np.testing.assert_array_equal(rests.negatives[:18], counts.negatives)
    without_the_last = counts.with_rests(np.array([True, True, False]))
    np.testing.assert_array_equal(without_the_last.positives[24:30], counts.positives[:6])


def test_totals_beyond_single_precision_stay_exact():
    # 2**24 + 1 cannot be told from 2**24 in single precision
    positives = np.array([[2**24], [1], [1]], dtype=np.float64)
    counts = LevelCounts(positives, np.array([[0.0], [1.0], [0.0]]), np.array([0, 3]))
    assert both(counts)[0][0, 0] == (2**24 + 0.5) / (2**24 + 2)


@pytest.mark.parametrize("levels", [1, 63, 64, 65, 200])
def test_running_totals_are_cumulated_sums(levels):
    values = np.random.default_rng(0).integers(9, size=(levels, 4)).astype(np.float32)
    np.testing.assert_array_equal(running_totals(values)[1:], np.cumsum(values, axis=0))
    assert not running_totals(values)[0].any()


def test_levels_of_one_kind_alone_are_one_cell():
    positive = np.array([1, 1, 0, 0, 1, 0, 0, 1], dtype=bool)
    levels = np.array([0, 1, 2, 3, 4, 4, 5, 6], dtype=np.int32)
    zeros = np.zeros(8, dtype=np.int64)
    options = {"n_levels": 7, "n_owners": 8, "every_level": False}
    tally = LevelTally.of(positive, levels, zeros, np.arange(8), n_groups=1, **options)
    counts = tally.resampled(np.ones((8, 1), dtype=np.int16))
    assert counts.positives[:, 0].tolist() == [2, 0, 1, 0, 1]
    assert counts.negatives[:, 0].tolist() == [0, 2, 1, 1, 0]


def test_a_run_ends_where_another_groups_begins():
    positive, levels = np.ones(4, dtype=bool), np.array([0, 1, 0, 1], dtype=np.int32)
    options = {"n_levels": 2, "n_owners": 4, "every_level": False}
    tally = LevelTally.of(positive, levels, np.array([0, 0, 1, 1]), np.arange(4), n_groups=2, **options)
    assert tally.starts.tolist() == [0, 1, 2]


def test_a_run_ends_after_some_thousand_rows_so_that_its_sums_stay_small():
    zeros, levels = np.zeros(60_000, dtype=np.int64), np.arange(60_000, dtype=np.int32)
    options = {"n_levels": 60_000, "n_owners": 60_000, "every_level": False}
    tally = LevelTally.of(levels < 10, levels, zeros, levels.astype(np.int64), n_groups=1, **options)
    assert tally.incidence.narrow is not None
    counts = tally.resampled(np.ones((60_000, 1), dtype=np.int16))
    assert counts.positives[:, 0].tolist() == [10] + [0] * 8
    assert counts.negatives[:, 0].max() <= 8192
    assert counts.negatives.sum() == 59_990


def test_sums_that_may_overflow_are_not_made_in_sixteen_bits():
    cells, owners = np.zeros(40_000, dtype=np.int64), np.arange(40_000)
    large = Incidence.of(cells, owners, shape=(1, 40_000))
    assert large.narrow is None
    assert large.totals(np.ones((40_000, 1), dtype=np.int16)).tolist() == [[40_000]]
    # 2,000 rows of one cluster may be drawn twenty times
    one = Incidence.of(cells[:2000], np.zeros(2000, dtype=np.int64), shape=(1, 1))
    assert one.narrow is None
    small = Incidence.of(cells[:2000], owners[:2000], shape=(1, 2000))
    assert small.narrow is not None
    assert small.totals(np.full((2000, 1), 3, dtype=np.int16)).tolist() == [[6000]]
