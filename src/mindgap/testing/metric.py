"""The conformance kit of metrics.

class TestMyMetric(MetricConformance):
    @pytest.fixture
    def name(self):
        return "my_metric"
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.metrics.metric import METRICS, AbstractClassGap, AbstractGapMetric, AbstractGroupMetric, AbstractMetric

_CLASSES = ("mel", "nv", "bcc")


def random_counts(seed: int, *, replicates: int = 0, n_groups: int = 3) -> GroupCounts:
    """Random counts with cells in 1..30 and groups of distinct sizes."""
    generator = np.random.default_rng(seed)
    shape = (*([replicates] if replicates else []), n_groups, len(_CLASSES), len(_CLASSES))
    counts = generator.integers(1, 30, size=shape).astype(np.float64)
    counts += 300 * np.arange(n_groups)[:, None, None] * np.eye(len(_CLASSES))
    return GroupCounts(counts, tuple(f"g{k}" for k in range(n_groups)), _CLASSES)


class MetricConformance:
    """What every registered metric keeps."""

    @pytest.fixture
    def metric(self, name: str) -> AbstractMetric:
        return METRICS.get(name)()

    def test_it_says_what_it_is(self, metric: AbstractMetric, name: str) -> None:
        assert metric.name == name
        assert metric.direction in {"larger", "smaller"}
        assert metric.interval in {"percentile", "log", "norm_pivot"}
        assert metric.range[0] <= metric.ideal <= metric.range[1]
        assert inspect.getdoc(type(metric))

    def test_values_lie_in_the_range(self, metric: AbstractMetric) -> None:
        for seed in range(20):
            counts = random_counts(seed)
            value = _value(metric, counts)
            low, high = metric.limits(counts) if isinstance(metric, AbstractGapMetric) else metric.range
            assert metric.range[0] <= low < high <= metric.range[1]
            assert np.all((value >= low - 1e-12) & (value <= high + 1e-12))

    def test_right_predictions_are_ideal(self, metric: AbstractMetric) -> None:
        counts = np.tile(np.diag([10.0, 20.0, 30.0]), (3, 1, 1))
        assert _value(metric, GroupCounts(counts, ("a", "b", "c"), _CLASSES)) == pytest.approx(metric.ideal)

    def test_replicates_are_computed_like_single_tables(self, metric: AbstractMetric) -> None:
        observed, replicates = random_counts(1), random_counts(2, replicates=4)
        together = _value(metric, replicates, observed)
        for index, counts in enumerate(replicates.counts):
            alone = _value(metric, observed.replicates(counts), observed)
            np.testing.assert_allclose(together[index], alone, rtol=1e-12)

    def test_the_counts_are_not_changed(self, metric: AbstractMetric) -> None:
        counts = random_counts(3)
        before = counts.counts.copy()
        _value(metric, counts)
        np.testing.assert_array_equal(counts.counts, before)

    def test_no_rows_are_undefined_with_a_reason(self, metric: AbstractMetric) -> None:
        counts = random_counts(4)
        counts.counts[1] = 0
        if isinstance(metric, AbstractGroupMetric):
            assert np.isnan(metric.value(counts.counts)[1])
            assert metric.reason(counts.counts[1])
        elif isinstance(metric, AbstractGapMetric):
            assert np.isnan(metric.value(counts, counts))
            assert metric.reason(counts)

    def test_a_gap_does_not_depend_on_the_order_or_names_of_groups_and_classes(self, metric: AbstractMetric) -> None:
        counts = random_counts(5)
        groups, classes = [2, 0, 1], [1, 2, 0]
        turned = counts.counts[groups] if isinstance(metric, AbstractGapMetric) else counts.counts
        turned = turned[:, classes][:, :, classes]
        other = GroupCounts(turned, ("x", "y", "z"), ("p", "q", "r"))
        np.testing.assert_allclose(_value(metric, other), _value(metric, counts), rtol=1e-12)

    def test_a_pivot_distance_bounds_how_far_the_value_moves(self, metric: AbstractMetric) -> None:
        if not isinstance(metric, AbstractGapMetric) or metric.interval == "percentile":
            return
        observed, replicates = random_counts(6), random_counts(7, replicates=50)
        distance = metric.distance(replicates, observed)
        value, moved = metric.value(observed, observed), metric.value(replicates, observed)
        assert metric.distance(observed, observed) == pytest.approx(0, abs=1e-12)
        if metric.interval == "norm_pivot":
            assert np.all(np.abs(moved - value) <= distance + 1e-12)
        else:
            assert np.all(np.log(moved) >= np.log(value) - distance - 1e-12)
            assert np.all(np.log(moved) <= np.log(value) + metric.upper_distance(replicates, observed) + 1e-12)

    def test_a_gap_per_class_has_one_value_per_class(self, metric: AbstractMetric) -> None:
        if not isinstance(metric, AbstractClassGap):
            return
        observed, replicates = random_counts(8), random_counts(9, replicates=5)
        assert metric.class_value(replicates, observed).shape == (5, len(_CLASSES))
        assert metric.class_distance(replicates, observed).shape == (5, len(_CLASSES))
        assert metric.class_distance(observed, observed) == pytest.approx(np.zeros(len(_CLASSES)), abs=1e-12)


def _value(metric: AbstractMetric, counts: GroupCounts, observed: GroupCounts | None = None) -> Floats:
    if isinstance(metric, AbstractGroupMetric):
        return metric.value(counts.counts)
    assert isinstance(metric, AbstractGapMetric)
    return metric.value(counts, observed or counts)
