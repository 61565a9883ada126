"""What a metric is: a name, the statistic it measures, what it measures on it, and which interval fits it.

A group figure describes each group by itself (and all rows together), a gap metric compares the groups of an attribute,
a class rate is a figure of each class in each group. Most need counts alone; others ROC curves or reliability. All are
vectorised over replicates, and every choice that depends on the sample (which classes are compared, which group is the
minority) is made on ``observed``, the statistic of the real predictions, and then kept in replicates.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Generic, Literal, cast

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

from mindgap.core.registry import Registry
from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.metrics.group_roc import GroupRoc
from mindgap.metrics.group_sample import GroupSample, Statistic

Direction = Literal["larger", "smaller"]
IntervalKind = Literal["percentile", "log", "norm_pivot", "exact"]


S = TypeVar("S", bound=GroupCounts | GroupRoc, default=GroupCounts)


class AbstractMetric(ABC):
    """A named measure of predictions.

    Attributes:
        name: the key in an audit.
        statistic: which part of a ``GroupSample`` it is measured on.
        direction: which values are better, ``larger`` or ``smaller``.
        range: smallest and largest possible value.
        ideal: the value of a model without errors or gaps.
        interval: how its 95 % interval is made, see ``mindgap.metrics.interval``.
    """

    name: ClassVar[str]
    statistic: ClassVar[Statistic] = "counts"
    direction: ClassVar[Direction]
    range: ClassVar[tuple[float, float]]
    ideal: ClassVar[float]
    interval: ClassVar[IntervalKind]

    def applies_to(self, classes: tuple[str, ...]) -> bool:
        """Whether it makes sense for a task of these classes; where not, an audit leaves it out."""
        del classes
        return True


class AbstractGroupFigure(AbstractMetric):
    """A figure of one set of rows, given overall and for every group.

    Attributes:
        averages_classes: whether every class weighs the same, so that the rarest class limits what is known.
        is_share: whether it is a share of the rows.
    """

    direction: ClassVar[Direction] = "larger"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    ideal: ClassVar[float] = 1.0
    interval: ClassVar[IntervalKind] = "percentile"
    averages_classes: ClassVar[bool] = False
    is_share: ClassVar[bool] = False

    @abstractmethod
    def of_groups(self, sample: GroupSample) -> Floats:
        """The figure of every group, float64 (..., G); NaN if undefined."""

    def resampled(self, sample: GroupSample, observed: GroupSample) -> Floats:
        """The figure of every group of replicates, float64 (..., G); NaN where it has become another quantity."""
        del observed
        return self.of_groups(sample)

    def distance(self, sample: GroupSample, observed: GroupSample) -> Floats:
        """How far each replicate lies from the sample, float64 (..., G) ≥ 0, for a figure that is a norm."""
        del sample, observed
        raise TypeError(f"{self.name} has a percentile interval and no distance")

    def reason(self, observed: GroupSample, index: int) -> str:
        """Why the figure of one group is NaN."""
        return "no rows" if not observed.counts.sizes[index] else "undefined on these rows"


class AbstractGroupMetric(AbstractGroupFigure):
    """A group figure that a confusion matrix alone gives."""

    @abstractmethod
    def value(self, confusion: Floats) -> Floats:
        """The measure, float64 (...), of confusion counts (..., C, C) by [true, predicted]; NaN if undefined."""

    def of_groups(self, sample: GroupSample) -> Floats:
        """The measure of every group's counts."""
        return self.value(sample.counts.counts)

    def resampled(self, sample: GroupSample, observed: GroupSample) -> Floats:
        """The measure of every group of replicates, float64 (..., G).

        Of a mean over classes it is NaN where a class that the group has was lost: the mean over the others is another
        quantity.
        """
        values = self.of_groups(sample)
        if not self.averages_classes:
            return values
        lost = ((observed.counts.support > 0) & (sample.counts.support == 0)).any(axis=-1)
        return np.where(lost, np.nan, values)


class AbstractGapMetric(AbstractMetric, Generic[S]):
    """A comparison of the groups of one attribute, on counts or another statistic S.

    Attributes:
        minimum_of: the group figure of which it is the least, None if it is no least figure.
    """

    direction: ClassVar[Direction] = "smaller"
    ideal: ClassVar[float] = 0.0
    minimum_of: ClassVar[str | None] = None

    @abstractmethod
    def value(self, counts: S, observed: S) -> Floats:
        """The measure, float64 (...), of every replicate in ``counts``, whichever statistic; NaN if undefined."""

    def distance(self, counts: S, observed: S) -> Floats:
        """How far each replicate lies from the observed counts, float64 (...) ≥ 0, for intervals made by a pivot."""
        del counts, observed
        raise TypeError(f"{self.name} has a percentile interval and no distance")

    def upper_distance(self, counts: S, observed: S) -> Floats:
        """How far the value may rise on the log scale, float64 (...) ≥ 0, where that is not how far it may fall."""
        return self.distance(counts, observed)

    def limits(self, observed: S) -> tuple[float, float]:
        """Smallest and largest value that these groups can have, where an interval ends: the range, or within it."""
        del observed
        return self.range

    def no_interval(self, observed: S) -> str | None:
        """Why the observed value can have no interval; None if it can."""
        del observed
        return None

    def cells(self, observed: S) -> NDArray[np.bool_] | None:
        """Which rates within a class the value rests on, bool (2, G, C); None where on whole groups alone.

        The first are those of a class's rows, the second those of the other classes' rows. Where one has fewer than
        five clusters there is no interval.
        """
        del observed
        return None

    def reason(self, observed: S) -> str:
        """Why the value is NaN."""
        empty = [group for group, size in zip(observed.groups, observed.sizes, strict=True) if not size]
        return f"group {empty[0]!r} has no rows" if empty else "undefined on these rows"

    def note(self, observed: S) -> str | None:
        """What a reader of the value must know, such as the classes left out; None if nothing."""
        del observed
        return None

    def rows(self, observed: S) -> int:
        """Number of rows the value rests on: those of all groups compared, unless the metric looks at fewer."""
        return int(observed.sizes.sum())


class AbstractNormGap(AbstractGapMetric[GroupCounts]):
    """A gap that is a norm or seminorm s(v) of a vector v of group rates or deviations."""

    interval: ClassVar[IntervalKind] = "norm_pivot"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @abstractmethod
    def vector(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """The vector v, float64 (..., d)."""

    @abstractmethod
    def norm(self, vector: Floats) -> Floats:
        """The (semi)norm s(v), float64 (...), of vectors (..., d)."""

    def value(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """The gap s(v), float64 (...)."""
        return self.norm(self.vector(counts, observed))

    def distance(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """s(v* − v̂), float64 (...)."""
        return self.norm(self.vector(counts, observed) - self.vector(observed, observed))


class AbstractClassGap(AbstractGapMetric[S], Generic[S]):
    """A gap measured for every class against the rest, and summarised over the classes where it is defined."""

    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @abstractmethod
    def class_value(self, counts: S, observed: S) -> Floats:
        """The measure of every class, float64 (..., C); NaN for a class left out."""

    @abstractmethod
    def class_distance(self, counts: S, observed: S) -> Floats:
        """How far each replicate lies from the observed counts in every class, float64 (..., C)."""

    @abstractmethod
    def class_reason(self, observed: S, index: int) -> str:
        """Why the value of one class is NaN."""

    def class_rows(self, observed: S, index: int) -> int:
        """Rows of the smallest group or cell that the value of one class rests on."""
        del index
        return int(observed.sizes.min())

    def note(self, observed: S) -> str | None:
        """The classes left out."""
        missing = np.flatnonzero(np.isnan(self.class_value(observed, observed)))
        if not missing.size:
            return None
        listed = "; ".join(f"{observed.classes[k]}: {self.class_reason(observed, k)}" for k in missing.tolist())
        return f"classes left out ({listed})"


class AbstractClassRate(AbstractMetric):
    """A figure of every class in every group that stands by itself and compares no groups, such as predicted over true.

    ``ideal`` is a value to be near, from either side; ``direction`` is the side that is less of a worry.

    Attributes:
        of_others: whether it rests on the rows of a group that are of other classes, not on those of the class.
    """

    of_others: ClassVar[bool] = False

    direction: ClassVar[Direction] = "larger"
    range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    ideal: ClassVar[float] = 1.0
    interval: ClassVar[IntervalKind] = "log"

    @abstractmethod
    def rates(self, counts: GroupCounts) -> Floats:
        """The figures, float64 (..., G, C); NaN if undefined."""

    @abstractmethod
    def reason(self, observed: GroupCounts, group_index: int, class_index: int) -> str:
        """Why the figure of one class in one group is NaN."""

    @abstractmethod
    def rows(self, observed: GroupCounts, group_index: int, class_index: int) -> int:
        """Number of rows that the figure rests on."""

    def no_interval(self, observed: GroupCounts, group_index: int, class_index: int) -> str | None:
        """Why a figure that is defined can have no interval; None if it can."""
        del observed, group_index, class_index
        return None


METRICS: Registry[type[AbstractMetric]] = Registry("metrics", package="mindgap.metrics.definitions")


def group_metrics(classes: tuple[str, ...] | None = None) -> tuple[AbstractGroupFigure, ...]:
    """The registered group figures, by name; of a task of these classes only those that apply to it."""
    return tuple(metric for metric in _metrics(classes) if isinstance(metric, AbstractGroupFigure))


def gap_metrics(classes: tuple[str, ...] | None = None) -> tuple[AbstractGapMetric[Any], ...]:
    """The registered gap metrics, by name; of a task of these classes only those that apply to it."""
    return tuple(
        cast("AbstractGapMetric[Any]", metric) for metric in _metrics(classes) if isinstance(metric, AbstractGapMetric)
    )


def class_rates(classes: tuple[str, ...] | None = None) -> tuple[AbstractClassRate, ...]:
    """The registered rates per class and group, by name; of a task of these classes only those that apply to it."""
    return tuple(metric for metric in _metrics(classes) if isinstance(metric, AbstractClassRate))


def _metrics(classes: tuple[str, ...] | None) -> Iterator[AbstractMetric]:
    found = (METRICS.get(name)() for name in METRICS.names())
    return (metric for metric in found if classes is None or metric.applies_to(classes))
