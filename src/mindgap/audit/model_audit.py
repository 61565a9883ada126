"""The audit of a model: every registered metric on its predictions, with intervals and noise floors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mindgap.audit.attribute_audit import audit_attribute, collect, group_measures, rarest_class
from mindgap.audit.record import Record, rate_bounds, value_record
from mindgap.core.errors import DataError
from mindgap.core.seed import numpy_generator
from mindgap.metrics.bootstrap import bootstrap_counts
from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.counts import count_rows
from mindgap.metrics.metric import group_metrics
from mindgap.metrics.predictions import MultiLabelPredictions, Predictions
from mindgap.metrics.pseudo_clusters import clusters_by_cell

SCHEMA = 1


def audit_predictions(
    predictions: Predictions | MultiLabelPredictions, *, bootstrap: int = 2000, permutations: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Audits predictions: overall, per group, and the gaps between the groups of every attribute.

    Intervals come from a cluster bootstrap, noise floors from group labels permuted among clusters of the same class.

    Args:
        predictions: what to audit.
        bootstrap: bootstrap replicates; 0 leaves the intervals out.
        permutations: permutations; 0 leaves the noise floors out.
        seed: the same seed gives the same record.

    Returns:
        The AUDIT record, JSON-ready: what is undefined is None with a reason.

    Raises:
        DataError: there are no rows.
    """
    if not predictions.n:
        raise DataError("audit: the predictions have no rows; give at least one")
    if isinstance(predictions, MultiLabelPredictions):
        return _audit_multi_label(predictions, bootstrap=bootstrap, permutations=permutations, seed=seed)
    return {
        "schema": SCHEMA,
        "task": "single-label",
        "n": predictions.n,
        "classes": list(predictions.classes),
        "class_support": _class_support(predictions),
        "overall": _overall({"": predictions}, bootstrap=bootstrap, seed=seed),
        "attributes": {
            name: audit_attribute(predictions, groups, bootstrap=bootstrap, permutations=permutations, seed=seed)
            for name, groups in predictions.groups.items()
        },
    }


def _audit_multi_label(
    predictions: MultiLabelPredictions, *, bootstrap: int, permutations: int, seed: int
) -> dict[str, Any]:
    parts = {name: predictions.by_label[name] for name in predictions.label_names}
    labels = {
        name: audit_predictions(part, bootstrap=bootstrap, permutations=permutations, seed=seed)
        for name, part in parts.items()
    }
    overall = _overall(parts, bootstrap=bootstrap, seed=seed)
    return {"schema": SCHEMA, "task": "multi-label", "n": predictions.n, "labels": labels, "overall": overall}


def _overall(by_label: Mapping[str, Predictions], *, bootstrap: int, seed: int) -> Record:
    """The group metrics over all rows; of several labels their means, resampled together."""
    parts = list(by_label.values())
    first = parts[0]
    part_of_row = np.repeat(np.arange(len(parts)), first.n)
    labels = np.concatenate([part.labels for part in parts])
    predicted = np.concatenate([part.predicted for part in parts])
    cells = tuple(f"{label}: {name}" if label else name for label in by_label for name in first.classes)
    clusters = np.tile(first.clusters, len(parts))
    names = tuple(str(k) for k in range(len(parts)))
    observed = count_rows(labels, predicted, part_of_row, groups=names, classes=first.classes)
    rows = ClusteredRows.of(labels, predicted, part_of_row, clusters, n_groups=len(parts), n_classes=len(first.classes))
    stream = bootstrap_counts(rows, replicates=bootstrap, generator=numpy_generator(seed, "bootstrap"))
    resampled = collect((observed.replicates(counts) for counts in stream), group_measures(observed))
    by_class = np.concatenate(list(clusters_by_cell(rows)))
    record: Record = {}
    for metric in group_metrics():
        replicates = resampled["group", metric.name]
        value = float(metric.value(observed.counts).mean())
        bounds = rate_bounds(
            metric,
            value,
            replicates=replicates.mean(axis=1) if replicates.size else replicates,
            clusters=rows.n_clusters,
            rarest=rarest_class(cells, by_class),
            who="the sample",
        )
        record[metric.name] = value_record(value, bounds, n=first.n, reason=metric.reason(observed.counts[0]))
    return record


def _class_support(predictions: Predictions) -> dict[str, int]:
    """How many rows are of each class."""
    support = np.bincount(predictions.labels, minlength=len(predictions.classes)).tolist()
    return dict(zip(predictions.classes, support, strict=True))
