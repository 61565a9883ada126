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
from mindgap.metrics.metric import (
    METRICS,
    AbstractClassGap,
    AbstractClassRate,
    AbstractGapMetric,
    AbstractGroupMetric,
    AbstractMetric,
)

_CLASSES = ("mel", "nv", "bcc")
_GROUPS = ("g0", "g1", "g2")


def random_counts(seed: int, *, replicates: int = 0, classes: tuple[str, ...] = _CLASSES) -> GroupCounts:
    """Random counts of three groups of distinct sizes, with cells in 1..30."""
    generator = np.random.default_rng(seed)
    shape = (*([replicates] if replicates else []), len(_GROUPS), len(classes), len(classes))
    counts = generator.integers(1, 30, size=shape).astype(np.float64)
    counts += 300 * np.arange(len(_GROUPS))[:, None, None] * np.eye(len(classes))
    return GroupCounts(counts, _GROUPS, classes)


class MetricConformance:
    """What every registered metric keeps."""

    @pytest.fixture
    def metric(self, name: str) -> AbstractMetric:
        return METRICS.get(name)()

    @pytest.fixture
    def classes(self, metric: AbstractMetric) -> tuple[str, ...]:
        """Three classes, or two where the metric is defined for a binary task only."""
        three = metric.applies_to(_CLASSES) and not np.isnan(_value(metric, random_counts(0))).any()
        return _CLASSES if three else _CLASSES[:2]

    def test_it_says_what_it_is(self, metric: AbstractMetric, name: str) -> None:
        assert metric.name == name
        assert metric.direction in {"larger", "smaller"}
        assert metric.interval in {"percentile", "log", "norm_pivot"}
        assert metric.range[0] <= metric.ideal <= metric.range[1]
        assert inspect.getdoc(type(metric))

    def test_it_applies_to_the_classes_on_which_it_is_defined(
        self, metric: AbstractMetric, classes: tuple[str, ...]
    ) -> None:
        assert metric.applies_to(classes)

    def test_values_lie_in_the_range(self, metric: AbstractMetric, classes: tuple[str, ...]) -> None:
        for seed in range(20):
            counts = random_counts(seed, classes=classes)
            value = _value(metric, counts)
            low, high = metric.limits(counts) if isinstance(metric, AbstractGapMetric) else metric.range
            assert metric.range[0] <= low < high <= metric.range[1]
            assert np.all((value >= low - 1e-12) & (value <= high + 1e-12))

    def test_right_predictions_are_ideal(self, metric: AbstractMetric, classes: tuple[str, ...]) -> None:
        counts = np.tile(np.diag([10.0, 20.0, 30.0][: len(classes)]), (3, 1, 1))
        assert _value(metric, GroupCounts(counts, ("a", "b", "c"), classes)) == pytest.approx(metric.ideal)

    def test_replicates_are_computed_like_single_tables(self, metric: AbstractMetric, classes: tuple[str, ...]) -> None:
        observed, replicates = random_counts(1, classes=classes), random_counts(2, replicates=4, classes=classes)
        together = _value(metric, replicates, observed)
        for index, counts in enumerate(replicates.counts):
            alone = _value(metric, observed.replicates(counts), observed)
            np.testing.assert_allclose(together[index], alone, rtol=1e-12)

    def test_the_counts_are_not_changed(self, metric: AbstractMetric, classes: tuple[str, ...]) -> None:
        counts = random_counts(3, classes=classes)
        before = counts.counts.copy()
        _value(metric, counts)
        np.testing.assert_array_equal(counts.counts, before)

    def test_no_rows_are_undefined_with_a_reason(self, metric: AbstractMetric, classes: tuple[str, ...]) -> None:
        counts = random_counts(4, classes=classes)
        counts.counts[1] = 0
        if isinstance(metric, AbstractGroupMetric):
            assert np.isnan(metric.value(counts.counts)[1])
            assert metric.reason(counts.counts[1])
        elif isinstance(metric, AbstractClassRate):
            assert np.isnan(metric.rates(counts)[1]).all()
            assert metric.reason(counts, 1, 0)
        elif isinstance(metric, AbstractGapMetric):
            assert np.isnan(metric.value(counts, counts))
            assert metric.reason(counts)

    def test_values_do_not_depend_on_the_order_or_names_of_groups_and_classes(
        self, metric: AbstractMetric, classes: tuple[str, ...]
    ) -> None:
        counts = random_counts(5, classes=classes)
        groups = np.array([2, 0, 1])
        order = np.array([1, 2, 0] if classes == _CLASSES else [0, 1])  # of two, the second class may be the positive
        turned = counts.counts[groups][:, order][:, :, order]
        other = GroupCounts(turned, ("x", "y", "z"), ("p", "q", "r")[: len(classes)])
        expected = _value(metric, counts)
        if not isinstance(metric, AbstractGapMetric):
            expected = expected[groups]
        if isinstance(metric, AbstractClassRate):
            expected = expected[:, order]
        np.testing.assert_allclose(_value(metric, other), expected, rtol=1e-12)

    def test_a_pivot_distance_bounds_how_far_the_value_moves(
        self, metric: AbstractMetric, classes: tuple[str, ...]
    ) -> None:
        if not isinstance(metric, AbstractGapMetric) or metric.interval == "percentile":
            return
        observed, replicates = random_counts(6, classes=classes), random_counts(7, replicates=50, classes=classes)
        distance = metric.distance(replicates, observed)
        value, moved = metric.value(observed, observed), metric.value(replicates, observed)
        assert metric.distance(observed, observed) == pytest.approx(0, abs=1e-12)
        if metric.interval == "norm_pivot":
            assert np.all(np.abs(moved - value) <= distance + 1e-12)
        else:
            assert np.all(np.log(moved) >= np.log(value) - distance - 1e-12)
            assert np.all(np.log(moved) <= np.log(value) + metric.upper_distance(replicates, observed) + 1e-12)

    def test_a_gap_per_class_has_one_value_per_class(self, metric: AbstractMetric, classes: tuple[str, ...]) -> None:
        if not isinstance(metric, AbstractClassGap):
            return
        observed, replicates = random_counts(8, classes=classes), random_counts(9, replicates=5, classes=classes)
        assert metric.class_value(replicates, observed).shape == (5, len(classes))
        assert metric.class_distance(replicates, observed).shape == (5, len(classes))
        assert metric.class_distance(observed, observed) == pytest.approx(np.zeros(len(classes)), abs=1e-12)

    def test_a_class_rate_has_one_value_and_number_of_rows_per_group_and_class(
        self, metric: AbstractMetric, classes: tuple[str, ...]
    ) -> None:
        if not isinstance(metric, AbstractClassRate):
            return
        observed = random_counts(8, classes=classes)
        assert metric.rates(random_counts(9, replicates=5, classes=classes)).shape == (5, 3, len(classes))
        for g, size in enumerate(observed.sizes.tolist()):
            assert all(0 <= metric.rows(observed, g, k) <= size for k in range(len(classes)))


def _value(metric: AbstractMetric, counts: GroupCounts, observed: GroupCounts | None = None) -> Floats:
    if isinstance(metric, AbstractGroupMetric):
        return metric.value(counts.counts)
    if isinstance(metric, AbstractClassRate):
        return metric.rates(counts)
    assert isinstance(metric, AbstractGapMetric)
    return metric.value(counts, observed or counts)
