"""The audit of one attribute: its groups, its gaps and its gaps per class."""

from __future__ import annotations

from typing import Any

import numpy as np

from mindgap.audit.measured import AuditOptions, Measured, measure_attribute
from mindgap.audit.record import Record, few_clusters, gap_record, rate_bounds, undefined_gap, value_record
from mindgap.core.groups import SMALL_GROUP, Groups
from mindgap.metrics.counts import Floats, Integers
from mindgap.metrics.group_sample import GroupSample
from mindgap.metrics.interval import MIN_CLUSTERS, Bounds, interval, no_bounds, undefined_note
from mindgap.metrics.metric import AbstractClassGap, AbstractGapMetric, gap_metrics, group_metrics
from mindgap.metrics.predictions import Predictions
from mindgap.metrics.pseudo_clusters import clusters_by_cell, clusters_by_group
from mindgap.metrics.resampling import Resampling

NO_SCORES = "no probabilities, only predicted classes"


def audit_attribute(predictions: Predictions, groups: Groups, options: AuditOptions) -> Record:
    """The AUDIT entry of one attribute: ``groups``, ``gaps``, ``per_class``, and what a reader must know.

    Rows of unknown group are left out and counted in ``unknown``. ``notes`` lists, per gap, the classes or groups that
    could not be compared, and how many resamples left it undefined; and whether scores were binned for resampling.
    """
    resampling = Resampling.of(
        predictions.labels,
        predictions.predicted,
        groups.ids,
        predictions.clusters,
        groups=groups.names,
        classes=predictions.classes,
        probabilities=predictions.probabilities,
    )
    observed = resampling.observed
    present = observed.counts.sizes > 0
    comparable = int(present.sum()) >= 2
    options = options if present.any() else AuditOptions(bootstrap=0, permutations=0)
    measured = measure_attribute(resampling, options, attribute=groups.attribute, present=present, gaps=comparable)
    compared, reference = observed.keep(present), resampling.reference.keep(present)
    clusters, by_class = clusters_by_group(resampling.rows), clusters_by_cell(resampling.rows)
    doubt = _few_clusters(compared.counts.groups, clusters[present])
    gaps = _Gaps(compared, reference, measured, doubt)
    return {
        "n": int(observed.counts.sizes.sum()),
        "unknown": int((~groups.known).sum()),
        "groups": {
            name: group_record(resampling, g, measured, clusters=int(clusters[g]), by_class=by_class[g])
            for g, name in enumerate(groups.names)
        },
        "gaps": gaps.overall() if comparable else gaps.undefined("fewer than two groups have rows"),
        "per_class": gaps.per_class() if comparable else {},
        "notes": _notes(resampling, compared, measured) if comparable else _absent(observed, compared),
    }


def group_record(
    resampling: Resampling, index: int, measured: Measured, *, clusters: int, by_class: Integers
) -> Record:
    """The figures of one group: n, one V per group figure, flags; ``by_class`` (C,) are the clusters of each class."""
    observed, reference = resampling.observed, resampling.reference
    counts = observed.counts
    size = int(counts.sizes[index])
    record: Record = {"n": size}
    for metric in group_metrics():
        value = float(metric.of_groups(observed)[index])
        bounds = rate_bounds(
            metric,
            value,
            reference=float(metric.of_groups(reference)[index]),
            replicates=_column(measured.resampled["group", metric.name], index),
            jackknife=_optional_column(measured.jackknife.get(("group", metric.name)), index),
            clusters=clusters,
            rarest=rarest_class(counts.classes, by_class),
            who=f"group {counts.groups[index]!r}",
        )
        reason = metric.reason(observed, index) if observed.has(metric.statistic) else NO_SCORES
        record[metric.name] = value_record(value, bounds, n=size, reason=reason)
    support = counts.support[index]
    lacking = [f"no_positives:{name}" for name, n in zip(counts.classes, support, strict=True) if not n]
    return record | {"flags": (["small"] if size < SMALL_GROUP else []) + lacking}


def rarest_class(classes: tuple[str, ...], clusters: Integers) -> tuple[str, int]:
    """The class with the fewest clusters, int64 (C,), among those with any, and how many."""
    there = np.flatnonzero(clusters)
    index = there[clusters[there].argmin()] if there.size else 0
    return classes[index], int(clusters[index])


class _Gaps:
    """The gaps between the groups compared, and their records."""

    def __init__(self, compared: GroupSample, reference: GroupSample, measured: Measured, doubt: str | None) -> None:
        self.compared, self.reference, self.measured, self.doubt = compared, reference, measured, doubt

    def undefined(self, reason: str) -> Record:
        """All gaps, of which none is defined."""
        n = int(self.compared.counts.sizes.sum())
        return {metric.name: undefined_gap(reason, n=n) for metric in gap_metrics()}

    def overall(self) -> Record:
        """One G per gap metric."""
        return {metric.name: self._overall(metric) for metric in gap_metrics()}

    def _overall(self, metric: AbstractGapMetric[Any]) -> Record:
        if not self.compared.has(metric.statistic):
            return undefined_gap(NO_SCORES, n=int(self.compared.counts.sizes.sum()))
        observed, reference = (getattr(sample, metric.statistic) for sample in (self.compared, self.reference))
        value = float(metric.value(observed, observed))
        bounds = self._bounds(
            metric,
            value,
            self.measured.resampled["gap", metric.name],
            limits=metric.limits(observed),
            doubt=self.doubt or metric.no_interval(observed),
            upper=self.measured.resampled.get(("rise", metric.name)),
        )
        record = value_record(value, bounds, n=metric.rows(observed), reason=metric.reason(observed))
        judged = float(metric.value(reference, reference))
        return gap_record(record, metric, judged, permuted=self.measured.permuted["gap", metric.name])

    def per_class(self) -> Record:
        """For every class, one G per gap metric that is defined by class."""
        by_class: Record = {name: {} for name in self.compared.counts.classes}
        for metric in gap_metrics():
            if isinstance(metric, AbstractClassGap):
                for k, name in enumerate(by_class):
                    by_class[name][metric.name] = self._of_class(metric, k)
        return by_class

    def _of_class(self, metric: AbstractClassGap[Any], k: int) -> Record:
        if not self.compared.has(metric.statistic):
            return undefined_gap(NO_SCORES, n=int(self.compared.counts.sizes.sum()))
        observed, reference = (getattr(sample, metric.statistic) for sample in (self.compared, self.reference))
        value, judged = (float(metric.class_value(stat, stat)[k]) for stat in (observed, reference))
        replicates = _column(self.measured.resampled["class", metric.name], k)
        bounds = self._bounds(metric, value, replicates, limits=metric.range, doubt=self.doubt)
        reason = metric.class_reason(observed, k) if np.isnan(value) else ""
        record = value_record(value, bounds, n=metric.class_rows(observed, k), reason=reason)
        return gap_record(record, metric, judged, permuted=_column(self.measured.permuted["class", metric.name], k))

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


def _few_clusters(groups: tuple[str, ...], clusters: Integers) -> str | None:
    """Why no gap between these groups has an interval; None if it can have one."""
    if not len(groups) or clusters.min() >= MIN_CLUSTERS:
        return None
    smallest = int(clusters.argmin())
    return few_clusters(f"group {groups[smallest]!r}", int(clusters[smallest]))


def _notes(resampling: Resampling, compared: GroupSample, measured: Measured) -> dict[str, str]:
    notes: dict[str, str] = {}
    for metric in gap_metrics():
        observed = getattr(compared, metric.statistic)
        if observed is None:
            continue
        defined = not np.isnan(metric.value(observed, observed))
        left_out = undefined_note(measured.resampled["gap", metric.name]) if defined else None
        if said := [note for note in (metric.note(observed), left_out) if note]:
            notes[metric.name] = "; ".join(said)
    binned = resampling.binned_note()
    return notes | _absent(resampling.observed, compared) | ({"resampling": binned} if binned else {})


def _absent(observed: GroupSample, compared: GroupSample) -> dict[str, str]:
    absent = [name for name in observed.counts.groups if name not in compared.counts.groups]
    return {"groups": f"without rows, so in no gap: {', '.join(absent)}"} if absent else {}


def _column(replicates: Floats, index: int) -> Floats:
    return replicates[:, index] if replicates.ndim == 2 else replicates


def _optional_column(replicates: Floats | None, index: int) -> Floats | None:
    return None if replicates is None else _column(replicates, index)
