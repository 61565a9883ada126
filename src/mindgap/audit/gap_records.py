"""The records of an attribute's gaps, over all classes and class by class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mindgap.audit.few_cells import CellClusters
from mindgap.audit.measured import Measured
from mindgap.audit.record import NO_SCORES, Record, gap_record, undefined_gap, value_record
from mindgap.metrics.counts import Floats
from mindgap.metrics.group_sample import GroupSample
from mindgap.metrics.interval import Bounds, interval, no_bounds
from mindgap.metrics.metric import AbstractClassGap, AbstractGapMetric, gap_metrics


class GapRecords:
    """The gaps between the groups compared, and their records.

    Args:
        compared: the sample, of the groups with rows.
        reference: the same, measured as replicates are.
        measured: what the metrics say of it and of its resamples.
        cells: clusters of the groups compared, and of the classes within them.
    """

    def __init__(self, compared: GroupSample, reference: GroupSample, measured: Measured, cells: CellClusters) -> None:
        self.compared, self.reference, self.measured, self.cells = compared, reference, measured, cells

    def undefined(self, reason: str) -> Record:
        """All gaps, of which none is defined."""
        n = int(self.compared.counts.sizes.sum())
        return {metric.name: undefined_gap(reason, n=n) for metric in gap_metrics(self.compared.counts.classes)}

    def overall(self) -> Record:
        """One G per gap metric."""
        return {metric.name: self._overall(metric) for metric in gap_metrics(self.compared.counts.classes)}

    def _overall(self, metric: AbstractGapMetric[Any]) -> Record:
        if not self.compared.has(metric.statistic):
            return undefined_gap(NO_SCORES, n=int(self.compared.counts.sizes.sum()))
        reference = getattr(self.reference, metric.statistic)
        judged = float(metric.value(reference, reference))
        return gap_record(self.figure(metric), metric, judged, permuted=self.measured.permuted["gap", metric.name])

    def figure(self, metric: AbstractGapMetric[Any]) -> Record:
        """The V of a gap over all classes, without its noise floor."""
        if not self.compared.has(metric.statistic):
            return value_record(math.nan, no_bounds(None), n=int(self.compared.counts.sizes.sum()), reason=NO_SCORES)
        observed = getattr(self.compared, metric.statistic)
        value = float(metric.value(observed, observed))
        bounds = self._bounds(
            metric,
            value,
            self.measured.resampled["gap", metric.name],
            limits=metric.limits(observed),
            doubt=self.cells.of_gap(metric, observed),
            upper=self.measured.resampled.get(("rise", metric.name)),
        )
        return value_record(value, bounds, n=metric.rows(observed), reason=metric.reason(observed))

    def per_class(self) -> Record:
        """For every class, one G per gap metric that is defined by class."""
        by_class: Record = {name: {} for name in self.compared.counts.classes}
        for metric in gap_metrics(self.compared.counts.classes):
            if isinstance(metric, AbstractClassGap):
                for k, name in enumerate(by_class):
                    by_class[name][metric.name] = self._of_class(metric, k)
        return by_class

    def _of_class(self, metric: AbstractClassGap[Any], k: int) -> Record:
        if not self.compared.has(metric.statistic):
            return undefined_gap(NO_SCORES, n=int(self.compared.counts.sizes.sum()))
        observed, reference = (getattr(sample, metric.statistic) for sample in (self.compared, self.reference))
        value, judged = (float(metric.class_value(stat, stat)[k]) for stat in (observed, reference))
        replicates = column(self.measured.resampled["class", metric.name], k)
        doubt = self.cells.of_class(metric, observed, k)
        bounds = self._bounds(metric, value, replicates, limits=metric.range, doubt=doubt)
        reason = metric.class_reason(observed, k) if np.isnan(value) else ""
        record = value_record(value, bounds, n=metric.class_rows(observed, k), reason=reason)
        return gap_record(record, metric, judged, permuted=column(self.measured.permuted["class", metric.name], k))

    @staticmethod
    def _bounds(
        metric: AbstractGapMetric[Any],
        value: float,
        replicates: Floats,
        *,
        limits: tuple[float, float],
        doubt: str | None,
        upper: Floats | None = None,
    ) -> Bounds:
        if doubt and len(replicates) and not np.isnan(value):
            return no_bounds(doubt)
        return interval(metric.interval, value, replicates=replicates, distances=replicates, limits=limits, upper=upper)


def column(replicates: Floats, index: int) -> Floats:
    """One column of replicates (R, m); as they are without replicates."""
    return replicates[:, index] if replicates.ndim == 2 else replicates
