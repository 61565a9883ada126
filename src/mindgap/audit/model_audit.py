"""The audit of a model: every registered metric on its predictions, with intervals and noise floors."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from typing import Any, cast, get_args

import numpy as np

from mindgap.audit.attribute_audit import audit_attribute, rarest_class
from mindgap.audit.measured import AuditOptions, FloorName, IntervalName, measure_groups
from mindgap.audit.record import NO_SCORES, Record, rate_bounds, value_record
from mindgap.core.errors import ConfigError, DataError, near_names
from mindgap.core.groups import Groups
from mindgap.metrics.counts import Floats
from mindgap.metrics.metric import group_metrics
from mindgap.metrics.predictions import MultiLabelPredictions, Predictions
from mindgap.metrics.pseudo_clusters import clusters_by_cell
from mindgap.metrics.resampling import Resampling
from mindgap.metrics.share_spread import shares_right

MANY_ROWS = 20_000
SCHEMA = 1


def audit_predictions(
    predictions: Predictions | MultiLabelPredictions,
    *,
    bootstrap: int = 2000,
    permutations: int = 1000,
    seed: int = 0,
    interval: IntervalName = "percentile",
    floor: FloorName = "within-class",
    min_group: int = 1,
    min_group_of: Mapping[str, int] | None = None,
    attribute_done: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Audits predictions: overall, per group, and the gaps between the groups of every attribute.

    Intervals come from a cluster bootstrap, noise floors from group labels permuted among clusters of the same class.

    Args:
        predictions: what to audit.
        bootstrap: bootstrap replicates; 0 leaves the intervals out.
        permutations: permutations; 0 leaves the noise floors out.
        seed: the same seed gives the same record.
        interval: ``percentile`` or ``bca``, of the figures that are not gaps.
        floor: ``within-class`` keeps the case mix of the groups, so that the floor holds what it explains;
            ``all-classes`` moves labels among all clusters: no effect of the group, and no difference in case mix.
        min_group: rows under which a group is left out of every gap (its own figures stay), so that a handful of rows
            does not keep a whole attribute from being judged. A is then over the rows of the groups compared.
        min_group_of: attribute → the same, of attributes that have a number of their own.
        attribute_done: called with the name of each attribute (of each label) when it is done.

    Returns:
        The AUDIT record, JSON-ready: what is undefined is None with a reason.

    Raises:
        ConfigError: an option has no such value.
        DataError: there are no rows.
    """
    if not predictions.n:
        raise DataError("audit: the predictions have no rows; give at least one")
    options = checked_options(bootstrap, permutations, seed=seed, interval=interval, floor=floor, min_group=min_group)
    done, of_attributes = attribute_done or (lambda _: None), min_group_of or {}
    if isinstance(predictions, MultiLabelPredictions):
        return _multi_label(predictions, options, done, of_attributes)
    return _single_label(predictions, options, done, of_attributes)


def checked_options(
    bootstrap: int,
    permutations: int,
    *,
    seed: int = 0,
    interval: str = "percentile",
    floor: str = "within-class",
    min_group: int = 1,
) -> AuditOptions:
    """The options of an audit.

    Raises:
        ConfigError: one has no such value.
    """
    for name, value, known in (("interval", interval, get_args(IntervalName)), ("floor", floor, get_args(FloorName))):
        if value not in known:
            raise ConfigError(f"{name} {value!r} is unknown; {near_names(value, known)}")
    for name, number in (("bootstrap", bootstrap), ("permutations", permutations)):
        if number < 0:
            raise ConfigError(f"{name}={number}: give 0 or more")
    if min_group < 1:
        raise ConfigError(f"min_group={min_group}: give 1 or more")
    return AuditOptions(
        bootstrap, permutations, seed, cast("IntervalName", interval), cast("FloorName", floor), min_group
    )


def _single_label(
    predictions: Predictions, options: AuditOptions, done: Callable[[str], None], min_group_of: Mapping[str, int]
) -> dict[str, Any]:
    def audit(name: str, groups: Groups) -> Record:
        smallest = min_group_of.get(name, options.min_group)
        record = audit_attribute(predictions, groups, replace(options, min_group=smallest))
        done(name)
        return record

    jobs = [partial(audit, name, groups) for name, groups in predictions.groups.items()]
    *attributes, overall = _in_threads([*jobs, partial(_overall, {"": predictions}, options)], rows=predictions.n)
    return {
        "schema": SCHEMA,
        "task": "single-label",
        "n": predictions.n,
        "classes": list(predictions.classes),
        "class_support": _class_support(predictions),
        "settings": asdict(options),
        "overall": overall,
        "attributes": dict(zip(predictions.groups, attributes, strict=True)),
    }


def _in_threads(jobs: Sequence[Callable[[], Record]], *, rows: int) -> list[Record]:
    """What the jobs return, in order; side by side where there is much, as its large steps let others run."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if rows < MANY_ROWS or min(cores, len(jobs)) < 2:
        return [job() for job in jobs]
    with ThreadPoolExecutor(min(cores, len(jobs))) as pool:
        return [running.result() for running in [pool.submit(job) for job in jobs]]


def _multi_label(
    predictions: MultiLabelPredictions,
    options: AuditOptions,
    done: Callable[[str], None],
    min_group_of: Mapping[str, int],
) -> dict[str, Any]:
    parts = {name: predictions.by_label[name] for name in predictions.label_names}
    return {
        "schema": SCHEMA,
        "task": "multi-label",
        "n": predictions.n,
        "settings": asdict(options),
        "labels": {name: _single_label(part, options, done, min_group_of) for name, part in parts.items()},
        "overall": _overall(parts, options),
    }


def _overall(by_label: Mapping[str, Predictions], options: AuditOptions) -> Record:
    """The group figures over all rows; of several labels their means, resampled together."""
    resampling, cells = _stacked(by_label)
    measured = measure_groups(resampling, options, stream="")
    observed, reference = resampling.observed, resampling.reference
    by_class = np.concatenate(list(clusters_by_cell(resampling.rows)))
    n = next(iter(by_label.values())).n
    (share,) = shares_right(resampling.rows, by_group=False)
    record: Record = {}
    for metric in group_metrics(resampling.classes):
        of_labels = metric.of_groups(observed)
        value = float(of_labels.mean())
        bounds = rate_bounds(
            metric,
            value,
            reference=float(metric.of_groups(reference).mean()),
            replicates=_mean(measured.resampled["group", metric.name]),
            jackknife=_mean(measured.jackknife["group", metric.name]) if measured.jackknife else None,
            share=share,
            clusters=resampling.rows.n_clusters,
            rarest=rarest_class(cells, by_class),
            who="the sample",
        )
        reason = NO_SCORES
        if observed.has(metric.statistic):
            lacking = int(np.isnan(of_labels).argmax())
            label = list(by_label)[lacking]
            reason = (f"label {label}: " if label else "") + metric.reason(observed, lacking)
        record[metric.name] = value_record(value, bounds, n=n, reason=reason)
    return record


def _stacked(by_label: Mapping[str, Predictions]) -> tuple[Resampling, tuple[str, ...]]:
    """All labels' rows one after another, a group per label, in the same clusters; and the names of group × class."""
    parts = list(by_label.values())
    first = parts[0]
    chances = [part.probabilities for part in parts if part.probabilities is not None]
    resampling = Resampling.of(
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.predicted for part in parts]),
        np.repeat(np.arange(len(parts)), first.n),
        np.tile(first.clusters, len(parts)),
        groups=tuple(str(k) for k in range(len(parts))),
        classes=first.classes,
        probabilities=np.concatenate(chances) if len(chances) == len(parts) else None,
        paired=False,
    )
    return resampling, tuple(f"{label}: {name}" if label else name for label in by_label for name in first.classes)


def _mean(replicates: Floats) -> Floats:
    return replicates.mean(axis=1) if replicates.size else replicates


def _class_support(predictions: Predictions) -> dict[str, int]:
    """How many rows are of each class."""
    support = np.bincount(predictions.labels, minlength=len(predictions.classes)).tolist()
    return dict(zip(predictions.classes, support, strict=True))
