"""The audit of one attribute: its groups, its gaps and its gaps per class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from mindgap.audit.record import Record, gap_record, undefined_gap, value_record
from mindgap.core.groups import Groups
from mindgap.core.seed import numpy_generator
from mindgap.metrics.bootstrap import bootstrap_counts
from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.counts import Floats, GroupCounts, count_rows
from mindgap.metrics.metric import AbstractClassGap, AbstractGapMetric, gap_metrics, group_metrics
from mindgap.metrics.noise_floor import permuted_counts
from mindgap.metrics.predictions import Predictions

SMALL_GROUP = 30

Measure = Callable[[GroupCounts], Floats]


def audit_attribute(
    predictions: Predictions, groups: Groups, *, bootstrap: int, permutations: int, seed: int
) -> Record:
    """The AUDIT entry of one attribute: ``groups``, ``gaps``, ``per_class``, and what a reader must know.

    Rows of unknown group are left out and counted in ``unknown``. ``notes`` lists, per gap, the classes or groups that
    could not be compared.
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
        group_measures() | _on_present(present, _bootstrap_measures(gaps, compared)),
    )
    permuted = collect(
        chunks(
            permuted_counts(rows, replicates=permutations, generator=numpy_generator(seed, "noise", groups.attribute))
        )
        if comparable
        else iter(()),
        _on_present(present, _permutation_measures(gaps, compared)),
    )
    return {
        "n": int(observed.sizes.sum()),
        "unknown": int((~groups.known).sum()),
        "groups": {name: group_record(observed, g, resampled) for g, name in enumerate(groups.names)},
        "gaps": _gaps(compared, resampled, permuted),
        "per_class": _per_class(compared, resampled, permuted) if comparable else {},
        "notes": _notes(observed, compared, gaps),
    }


def collect(chunks: Iterator[GroupCounts], measures: Mapping[Any, Measure]) -> dict[Any, Floats]:
    """Every measure of all replicates, float64 (R, ...); (0,) without replicates."""
    found: dict[Any, list[Floats]] = {key: [] for key in measures}
    for counts in chunks:
        for key, measure in measures.items():
            found[key].append(measure(counts))
    return {key: np.concatenate(parts) if parts else np.empty(0) for key, parts in found.items()}


def group_measures() -> dict[Any, Measure]:
    """The group metrics, each giving float64 (r, G)."""
    return {("group", metric.name): lambda counts, m=metric: m.value(counts.counts) for metric in group_metrics()}


def group_record(observed: GroupCounts, index: int, resampled: Mapping[Any, Floats]) -> Record:
    """The figures of one group: n, one V per group metric, flags."""
    confusion = observed.counts[index]
    size = int(confusion.sum())
    record: Record = {"n": size}
    for metric in group_metrics():
        record[metric.name] = value_record(
            metric,
            float(metric.value(confusion)),
            replicates=_column(resampled["group", metric.name], index),
            distances=np.empty(0),
            n=size,
            reason=metric.reason(confusion),
        )
    lacking = [f"no_positives:{name}" for name, n in zip(observed.classes, confusion.sum(axis=1), strict=True) if not n]
    return record | {"flags": (["small"] if size < SMALL_GROUP else []) + lacking}


def _bootstrap_measures(gaps: tuple[AbstractGapMetric, ...], compared: GroupCounts) -> dict[Any, Measure]:
    measures: dict[Any, Measure] = {}
    for metric in gaps:
        measure = metric.value if metric.interval == "percentile" else metric.distance
        measures["gap", metric.name] = lambda counts, f=measure: f(counts, compared)
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


def _gaps(compared: GroupCounts, resampled: Mapping[Any, Floats], permuted: Mapping[Any, Floats]) -> Record:
    if len(compared.groups) < 2:
        reason = "fewer than two groups have rows"
        return {metric.name: undefined_gap(reason, n=int(compared.sizes.sum())) for metric in gap_metrics()}
    return {metric.name: _gap(metric, compared, resampled, permuted) for metric in gap_metrics()}


def _gap(
    metric: AbstractGapMetric, compared: GroupCounts, resampled: Mapping[Any, Floats], permuted: Mapping[Any, Floats]
) -> Record:
    value = float(metric.value(compared, compared))
    replicates = resampled["gap", metric.name]
    record = value_record(
        metric,
        value,
        replicates=replicates,
        distances=replicates,
        n=metric.rows(compared),
        reason=metric.reason(compared),
    )
    return gap_record(record, metric, value, permuted=permuted["gap", metric.name])


def _per_class(compared: GroupCounts, resampled: Mapping[Any, Floats], permuted: Mapping[Any, Floats]) -> Record:
    by_class: Record = {name: {} for name in compared.classes}
    for metric in gap_metrics():
        if not isinstance(metric, AbstractClassGap):
            continue
        values = metric.class_value(compared, compared)
        for k, name in enumerate(compared.classes):
            replicates = _column(resampled["class", metric.name], k)
            record = value_record(
                metric,
                float(values[k]),
                replicates=replicates,
                distances=replicates,
                n=int(compared.sizes.sum()),
                reason=metric.class_reason(compared, k) if np.isnan(values[k]) else "",
            )
            by_class[name][metric.name] = gap_record(
                record, metric, float(values[k]), permuted=_column(permuted["class", metric.name], k)
            )
    return by_class


def _notes(observed: GroupCounts, compared: GroupCounts, gaps: tuple[AbstractGapMetric, ...]) -> dict[str, str]:
    notes = {metric.name: note for metric in gaps if (note := metric.note(compared))}
    absent = [name for name in observed.groups if name not in compared.groups]
    return notes | ({"groups": f"without rows, so in no gap: {', '.join(absent)}"} if absent else {})


def _column(replicates: Floats, index: int) -> Floats:
    return replicates[:, index] if replicates.ndim == 2 else replicates
