"""The audit of one attribute: its groups, its gaps and its gaps per class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from mindgap.audit.record import Record, few_clusters, gap_record, rate_bounds, undefined_gap, value_record
from mindgap.core.groups import SMALL_GROUP, Groups
from mindgap.core.seed import numpy_generator
from mindgap.metrics.bootstrap import bootstrap_counts
from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.counts import Floats, GroupCounts, Integers, count_rows
from mindgap.metrics.interval import MIN_CLUSTERS, Bounds, interval, no_bounds, undefined_note
from mindgap.metrics.metric import AbstractClassGap, AbstractGapMetric, gap_metrics, group_metrics
from mindgap.metrics.noise_floor import permuted_counts
from mindgap.metrics.predictions import Predictions
from mindgap.metrics.pseudo_clusters import clusters_by_cell, clusters_by_group

Measure = Callable[[GroupCounts], Floats]


def audit_attribute(
    predictions: Predictions, groups: Groups, *, bootstrap: int, permutations: int, seed: int
) -> Record:
    """The AUDIT entry of one attribute: ``groups``, ``gaps``, ``per_class``, and what a reader must know.

    Rows of unknown group are left out and counted in ``unknown``. ``notes`` lists, per gap, the classes or groups that
    could not be compared, and how many resamples left it undefined.
    """
    observed = count_rows(
        predictions.labels, predicted=predictions.predicted, group_ids=groups.ids, groups=groups.names,
        classes=predictions.classes,
    )  # fmt: skip
    present = observed.sizes > 0
    rows = ClusteredRows.of(
        predictions.labels, predictions.predicted, groups.ids, predictions.clusters,
        n_groups=len(groups.names), n_classes=len(predictions.classes),
    )  # fmt: skip
    compared = observed.keep(present)
    comparable = len(compared.groups) >= 2
    gaps = gap_metrics() if comparable else ()

    def chunks(stream: Iterator[Floats]) -> Iterator[GroupCounts]:
        return (observed.replicates(counts) for counts in stream)

    resampled = collect(
        chunks(
            bootstrap_counts(rows, replicates=bootstrap, generator=numpy_generator(seed, "bootstrap", groups.attribute))
        )
        if present.any()
        else iter(()),
        group_measures(observed) | _on_present(present, _bootstrap_measures(gaps, compared)),
    )
    permuted = collect(
        chunks(
            permuted_counts(rows, replicates=permutations, generator=numpy_generator(seed, "noise", groups.attribute))
        )
        if comparable
        else iter(()),
        _on_present(present, _permutation_measures(gaps, compared)),
    )
    clusters, by_class = clusters_by_group(rows), clusters_by_cell(rows)
    doubt = _few_clusters(compared.groups, clusters[present])
    return {
        "n": int(observed.sizes.sum()),
        "unknown": int((~groups.known).sum()),
        "groups": {
            name: group_record(observed, g, resampled, clusters=int(clusters[g]), by_class=by_class[g])
            for g, name in enumerate(groups.names)
        },
        "gaps": _gaps(compared, resampled, permuted, doubt),
        "per_class": _per_class(compared, resampled, permuted, doubt) if comparable else {},
        "notes": _notes(observed, compared, gaps, resampled),
    }


def collect(chunks: Iterator[GroupCounts], measures: Mapping[Any, Measure]) -> dict[Any, Floats]:
    """Every measure of all replicates, float64 (R, ...); (0,) without replicates."""
    found: dict[Any, list[Floats]] = {key: [] for key in measures}
    for counts in chunks:
        for key, measure in measures.items():
            found[key].append(measure(counts))
    return {key: np.concatenate(parts) if parts else np.empty(0) for key, parts in found.items()}


def group_measures(observed: GroupCounts) -> dict[Any, Measure]:
    """The group metrics, each giving float64 (r, G)."""
    return {
        ("group", metric.name): lambda counts, m=metric: m.resampled(counts, observed) for metric in group_metrics()
    }


def group_record(
    observed: GroupCounts, index: int, resampled: Mapping[Any, Floats], *, clusters: int, by_class: Integers
) -> Record:
    """The figures of one group: n, one V per group metric, flags; ``by_class`` (C,) are the clusters of each class."""
    confusion = observed.counts[index]
    size = int(confusion.sum())
    record: Record = {"n": size}
    for metric in group_metrics():
        value = float(metric.value(confusion))
        bounds = rate_bounds(
            metric,
            value,
            replicates=_column(resampled["group", metric.name], index),
            clusters=clusters,
            rarest=rarest_class(observed.classes, by_class),
            who=f"group {observed.groups[index]!r}",
        )
        record[metric.name] = value_record(value, bounds, n=size, reason=metric.reason(confusion))
    lacking = [f"no_positives:{name}" for name, n in zip(observed.classes, confusion.sum(axis=1), strict=True) if not n]
    return record | {"flags": (["small"] if size < SMALL_GROUP else []) + lacking}


def rarest_class(classes: tuple[str, ...], clusters: Integers) -> tuple[str, int]:
    """The class with the fewest clusters, int64 (C,), among those with any, and how many."""
    there = np.flatnonzero(clusters)
    index = there[clusters[there].argmin()] if there.size else 0
    return classes[index], int(clusters[index])


def _few_clusters(groups: tuple[str, ...], clusters: Integers) -> str | None:
    """Why no gap between these groups has an interval; None if it can have one."""
    if not len(groups) or clusters.min() >= MIN_CLUSTERS:
        return None
    smallest = int(clusters.argmin())
    return few_clusters(f"group {groups[smallest]!r}", int(clusters[smallest]))


def _bootstrap_measures(gaps: tuple[AbstractGapMetric, ...], compared: GroupCounts) -> dict[Any, Measure]:
    measures: dict[Any, Measure] = {}
    for metric in gaps:
        measure = metric.value if metric.interval == "percentile" else metric.distance
        measures["gap", metric.name] = lambda counts, f=measure: f(counts, compared)
        if metric.interval == "log":
            measures["rise", metric.name] = lambda counts, f=metric.upper_distance: f(counts, compared)
        if isinstance(metric, AbstractClassGap):
            measures["class", metric.name] = lambda counts, f=metric.class_distance: f(counts, compared)
    return measures


def _permutation_measures(gaps: tuple[AbstractGapMetric, ...], compared: GroupCounts) -> dict[Any, Measure]:
    measures: dict[Any, Measure] = {}
    for metric in gaps:
        measures["gap", metric.name] = lambda counts, f=metric.value: f(counts, compared)
        if isinstance(metric, AbstractClassGap):
            measures["class", metric.name] = lambda counts, f=metric.class_value: f(counts, compared)
    return measures


def _on_present(present: np.ndarray, measures: dict[Any, Measure]) -> dict[Any, Measure]:
    if present.all():
        return measures
    return {key: lambda counts, f=measure: f(counts.keep(present)) for key, measure in measures.items()}


def _gaps(
    compared: GroupCounts, resampled: Mapping[Any, Floats], permuted: Mapping[Any, Floats], doubt: str | None
) -> Record:
    if len(compared.groups) < 2:
        reason = "fewer than two groups have rows"
        return {metric.name: undefined_gap(reason, n=int(compared.sizes.sum())) for metric in gap_metrics()}
    found: Record = {}
    for metric in gap_metrics():
        value = float(metric.value(compared, compared))
        bounds = _bounds(
            metric,
            value,
            resampled["gap", metric.name],
            limits=metric.limits(compared),
            doubt=doubt or metric.no_interval(compared),
            upper=resampled.get(("rise", metric.name)),
        )
        record = value_record(value, bounds, n=metric.rows(compared), reason=metric.reason(compared))
        found[metric.name] = gap_record(record, metric, value, permuted=permuted["gap", metric.name])
    return found


def _per_class(
    compared: GroupCounts, resampled: Mapping[Any, Floats], permuted: Mapping[Any, Floats], doubt: str | None
) -> Record:
    by_class: Record = {name: {} for name in compared.classes}
    for metric in gap_metrics():
        if not isinstance(metric, AbstractClassGap):
            continue
        values = metric.class_value(compared, compared).tolist()
        for k, name in enumerate(compared.classes):
            replicates = _column(resampled["class", metric.name], k)
            bounds = _bounds(metric, values[k], replicates, limits=metric.range, doubt=doubt)
            reason = metric.class_reason(compared, k) if np.isnan(values[k]) else ""
            record = value_record(values[k], bounds, n=metric.class_rows(compared, k), reason=reason)
            by_class[name][metric.name] = gap_record(
                record, metric, values[k], permuted=_column(permuted["class", metric.name], k)
            )
    return by_class


def _bounds(
    metric: AbstractGapMetric,
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


def _notes(
    observed: GroupCounts,
    compared: GroupCounts,
    gaps: tuple[AbstractGapMetric, ...],
    resampled: Mapping[Any, Floats],
) -> dict[str, str]:
    notes: dict[str, str] = {}
    for metric in gaps:
        defined = not np.isnan(metric.value(compared, compared))
        left_out = undefined_note(resampled["gap", metric.name]) if defined else None
        if said := [note for note in (metric.note(compared), left_out) if note]:
            notes[metric.name] = "; ".join(said)
    absent = [name for name in observed.groups if name not in compared.groups]
    return notes | ({"groups": f"without rows, so in no gap: {', '.join(absent)}"} if absent else {})


def _column(replicates: Floats, index: int) -> Floats:
    return replicates[:, index] if replicates.ndim == 2 else replicates
