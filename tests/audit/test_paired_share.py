"""The difference of a share before and after, with clusters resampled as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mindgap.audit.paired_share import paired_share_difference
from mindgap.metrics.paired_interval import UNMOVED


def test_by_hand():
    before, after = np.array([1.0, 0, 0, 0, 0]), np.array([1.0, 1, 1, 0, 0])
    found = paired_share_difference(before, after, clusters=np.arange(5), seed=0)
    assert (found["first"], found["second"], found["value"], found["n"]) == (0.2, 0.6, pytest.approx(0.4), 5)
    assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1


def test_few_clusters_and_rows_that_all_move_have_no_interval():
    few = paired_share_difference(np.zeros(40), np.ones(40), clusters=np.arange(40) // 10, seed=0)
    assert (few["value"], few["low"], few["reason"]) == (1.0, None, "no interval: the sample has 4 clusters")
    all_moved = paired_share_difference(np.zeros(40), np.ones(40), clusters=np.arange(40), seed=0)
    assert (all_moved["low"], all_moved["high"], all_moved["reason"]) == (None, None, UNMOVED)


def test_its_interval_is_scipys_where_every_row_is_a_cluster():
    generator = np.random.default_rng(0)
    before, after = (generator.random(300) < share for share in (0.3, 0.4))
    moved = after.astype(float) - before
    found = paired_share_difference(before.astype(float), after.astype(float), clusters=np.arange(300), seed=1)
    oracle = stats.bootstrap((moved,), np.mean, method="percentile", n_resamples=5000, rng=2).confidence_interval
    assert (found["low"], found["high"]) == pytest.approx((oracle.low, oracle.high), abs=0.012)


def test_rows_of_one_cluster_count_as_one():
    moved = np.random.default_rng(0).integers(-1, 2, 60).astype(float)
    zeros = np.zeros(60)
    alone = paired_share_difference(zeros, moved, clusters=np.arange(60), seed=0)
    fourfold = paired_share_difference(np.tile(zeros, 4), np.tile(moved, 4), clusters=np.tile(np.arange(60), 4), seed=0)
    assert (fourfold["low"], fourfold["high"]) == pytest.approx((alone["low"], alone["high"]))
