"""The conformance kit of metrics.

class TestMyMetric(MetricConformance):
    @pytest.fixture
    def name(self):
        return "my_metric"
"""

from __future__ import annotations

import copy
import inspect

import numpy as np
import pytest

from mindgap.metrics.counts import Floats
from mindgap.metrics.group_sample import GroupSample
from mindgap.metrics.metric import (
    METRICS,
    AbstractClassGap,
    AbstractClassRate,
    AbstractGapMetric,
    AbstractGroupFigure,
    AbstractMetric,
)
from mindgap.metrics.resampling import Resampling

_CLASSES = ("mel", "nv", "bcc")
_SIZES = {"g0": 90, "g1": 120, "g2": 180}


def random_rows(seed: int, *, classes: tuple[str, ...] = _CLASSES, certain: bool = False) -> Resampling:
    """Random predictions of three groups of distinct sizes, or right ones with probability 1 and the same case mix."""
    generator = np.random.default_rng(seed)
    ids = np.repeat(np.arange(len(_SIZES)), list(_SIZES.values()))
    labels = np.arange(len(ids)) % len(classes) if certain else generator.integers(len(classes), size=len(ids))
    right = np.eye(len(classes))[labels]
    chances = right if certain else (generator.dirichlet(np.ones(len(classes)), len(ids)) + right) / 2
    return _resampling(labels, ids, chances, groups=tuple(_SIZES), classes=classes)


def _resampling(
    labels: np.ndarray, ids: np.ndarray, chances: np.ndarray, *, groups: tuple[str, ...], classes: tuple[str, ...]
) -> Resampling:
    return Resampling.of(
        labels,
        chances.argmax(axis=1),
        ids,
        np.arange(len(ids)),
        groups=groups,
        classes=classes,
        probabilities=chances,
    )


def replicates_of(rows: Resampling, count: int, *, seed: int = 1) -> GroupSample:
    """So many bootstrap replicates of the rows."""
    return rows.weighted(np.random.default_rng(seed).poisson(1, (rows.rows.n_clusters, count)).astype(np.float32))


class MetricConformance:
    """What every registered metric keeps."""

    @pytest.fixture
    def metric(self, name: str) -> AbstractMetric:
        return METRICS.get(name)()

    @pytest.fixture
    def classes(self, metric: AbstractMetric) -> tuple[str, ...]:
        """Three classes, or two where the metric is defined for a binary task only."""
        three = metric.applies_to(_CLASSES) and not np.isnan(_value(metric, random_rows(0).observed)).any()
        return _CLASSES if three else _CLASSES[:2]

    def test_it_says_what_it_is(self, metric: AbstractMetric, name: str) -> None:
        assert metric.name == name
        assert metric.statistic in {"counts", "class_counts", "roc", "reliability"}
        assert metric.direction in {"larger", "smaller"}
        kinds = {"log", "exact"} if isinstance(metric, AbstractClassRate) else {"percentile", "log", "norm_pivot"}
        assert metric.interval in kinds
        assert metric.range[0] <= metric.ideal <= metric.range[1]
        assert inspect.getdoc(type(metric))

    def test_it_applies_to_the_classes_on_which_it_is_defined(
        self, metric: AbstractMetric, classes: tuple[str, ...]
    ) -> None:
        assert metric.applies_to(classes)

    def test_values_lie_in_the_range(self, metric: AbstractMetric, classes: tuple[str, ...]) -> None:
        for seed in range(20):
            sample = random_rows(seed, classes=classes).observed
            value = _value(metric, sample)
            observed = getattr(sample, metric.statistic)
            low, high = metric.limits(observed) if isinstance(metric, AbstractGapMetric) else metric.range
            assert metric.range[0] <= low < high <= metric.range[1]
            assert np.all((value >= low - 1e-12) & (value <= high + 1e-12))

    def test_right_predictions_are_ideal(self, metric: AbstractMetric, classes: tuple[str, ...]) -> None:
        sample = random_rows(1, classes=classes, certain=True).observed
        assert _value(metric, sample) == pytest.approx(metric.ideal, abs=1e-12)

    def test_replicates_are_computed_like_single_ones(self, metric: AbstractMetric, classes: tuple[str, ...]) -> None:
        rows = random_rows(1, classes=classes)
        weights = np.random.default_rng(2).poisson(1, (rows.rows.n_clusters, 4)).astype(np.float32)
        together = _value(metric, rows.weighted(weights), rows.reference)
        for index in range(4):
            alone = _value(metric, rows.weighted(weights[:, [index]]), rows.reference)
            np.testing.assert_allclose(together[index], alone[0], rtol=1e-12)

    def test_the_sample_is_not_changed(self, metric: AbstractMetric, classes: tuple[str, ...]) -> None:
        sample = random_rows(3, classes=classes).observed
        before = copy.deepcopy(sample)
        _value(metric, sample)
        np.testing.assert_array_equal(before.counts.counts, sample.counts.counts)
        if before.roc and sample.roc and before.reliability and sample.reliability:
            np.testing.assert_array_equal(before.roc.tpr, sample.roc.tpr)
            np.testing.assert_array_equal(before.reliability.surplus, sample.reliability.surplus)

    def test_no_rows_are_undefined_with_a_reason(self, metric: AbstractMetric, classes: tuple[str, ...]) -> None:
        full = random_rows(4, classes=classes)
        assert full.probabilities is not None
        kept = full.rows.group_ids != 1
        labels, ids, chances = full.rows.labels[kept], full.rows.group_ids[kept], full.probabilities[kept]
        observed = _resampling(labels, ids, chances, groups=tuple(_SIZES), classes=classes).observed
        value = _value(metric, observed)
        if isinstance(metric, AbstractGapMetric):
            assert np.isnan(value)
        else:
            assert np.isnan(value[1]).all()
        if isinstance(metric, AbstractClassRate):
            assert metric.reason(observed.counts, 1, 0)
        elif isinstance(metric, AbstractGroupFigure):
            assert metric.reason(observed, 1)
        elif isinstance(metric, AbstractGapMetric):
            assert metric.reason(getattr(observed, metric.statistic))

    def test_values_do_not_depend_on_the_order_or_names_of_groups_and_classes(
        self, metric: AbstractMetric, classes: tuple[str, ...]
    ) -> None:
        rows = random_rows(5, classes=classes)
        assert rows.probabilities is not None
        groups = np.array([2, 0, 1])
        order = np.array([1, 2, 0] if classes == _CLASSES else [0, 1])  # of two, the second class may be the positive
        other = _resampling(
            np.argsort(order)[rows.rows.labels],
            np.argsort(groups)[rows.rows.group_ids],
            rows.probabilities[:, order],
            groups=("x", "y", "z"),
            classes=("p", "q", "r")[: len(classes)],
        )
        expected = _value(metric, rows.observed)
        if not isinstance(metric, AbstractGapMetric):
            expected = expected[groups]
        if isinstance(metric, AbstractClassRate):
            expected = expected[:, order]
        np.testing.assert_allclose(_value(metric, other.observed), expected, rtol=1e-12)

    def test_a_pivot_distance_bounds_how_far_the_value_moves(
        self, metric: AbstractMetric, classes: tuple[str, ...]
    ) -> None:
        rows = random_rows(6, classes=classes)
        sample, observed = replicates_of(rows, 50), rows.reference
        if isinstance(metric, AbstractGroupFigure) and metric.interval == "norm_pivot":
            moved = np.abs(_value(metric, sample) - _value(metric, observed))
            assert np.all(moved <= metric.distance(sample, observed) + 1e-12)
        if not isinstance(metric, AbstractGapMetric) or metric.interval == "percentile":
            return
        replicates, reference = (getattr(part, metric.statistic) for part in (sample, observed))
        distance = metric.distance(replicates, reference)
        value, moved = metric.value(reference, reference), metric.value(replicates, reference)
        assert metric.distance(reference, reference) == pytest.approx(0, abs=1e-12)
        if metric.interval == "norm_pivot":
            assert np.all(np.abs(moved - value) <= distance + 1e-12)
        else:
            assert np.all(np.log(moved) >= np.log(value) - distance - 1e-12)
            assert np.all(np.log(moved) <= np.log(value) + metric.upper_distance(replicates, reference) + 1e-12)

    def test_a_gap_per_class_has_one_value_per_class(self, metric: AbstractMetric, classes: tuple[str, ...]) -> None:
        if not isinstance(metric, AbstractClassGap):
            return
        rows = random_rows(8, classes=classes)
        observed = getattr(rows.reference, metric.statistic)
        replicates = getattr(replicates_of(rows, 5), metric.statistic)
        assert metric.class_value(replicates, observed).shape == (5, len(classes))
        assert metric.class_distance(replicates, observed).shape == (5, len(classes))
        assert metric.class_distance(observed, observed) == pytest.approx(np.zeros(len(classes)), abs=1e-12)

    def test_a_class_rate_has_one_value_and_number_of_rows_per_group_and_class(
        self, metric: AbstractMetric, classes: tuple[str, ...]
    ) -> None:
        if not isinstance(metric, AbstractClassRate):
            return
        rows = random_rows(8, classes=classes)
        assert metric.rates(replicates_of(rows, 5).counts).shape == (5, len(_SIZES), len(classes))
        observed = rows.observed.counts
        for g, size in enumerate(observed.sizes.tolist()):
            assert all(0 <= metric.rows(observed, g, k) <= size for k in range(len(classes)))


def _value(metric: AbstractMetric, sample: GroupSample, observed: GroupSample | None = None) -> Floats:
    """The metric of a sample or of replicates of ``observed``; a gap's choices are made on the latter."""
    if isinstance(metric, AbstractGroupFigure):
        return metric.of_groups(sample)
    if isinstance(metric, AbstractClassRate):
        return metric.rates(sample.counts)
    assert isinstance(metric, AbstractGapMetric)
    parts = (getattr(part, metric.statistic) for part in (sample, observed or sample))
    return np.asarray(metric.value(*parts))
