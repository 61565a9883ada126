"""Which gaps can be computed at all on a split, whatever a network says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mindgap.audit.record import Record
from mindgap.core.groups import Groups
from mindgap.metrics.counts import Integers
from mindgap.metrics.metric import gap_metrics
from mindgap.metrics.resampling import Resampling
from mindgap.metrics.unfairness import MIN_CELL, comparable_classes, covered_share


def answerable_gaps(labels: Integers, groups: Groups, *, classes: Sequence[str]) -> Record:
    """Every gap as a network without an error would have it: defined or not, why, over which classes.

    Whether a gap is defined depends on which classes the groups have, and hardly on the predictions; a network that
    never names a class can leave a ratio undefined besides.

    Args:
        labels: int64 (n,) class numbers.
        groups: groups of the n rows.
        classes: the C class names.

    Returns:
        ``groups`` compared and ``absent``; ``gaps``: by name ``defined``, ``n`` (rows it rests on), ``reason``,
        ``note``; and ``standardized``: the classes with 5 or more rows in every group, the others, and the share of
        rows covered (None with fewer than two groups).
    """
    names = tuple(classes)
    perfect = Resampling.of(
        labels, labels, groups.ids, np.arange(len(labels)), groups=groups.names, classes=names,
        probabilities=np.eye(len(names))[labels],
    ).observed  # fmt: skip
    present = perfect.counts.sizes > 0
    compared = perfect.keep(present)
    counts = compared.counts
    record: Record = {
        "groups": list(counts.groups),
        "absent": [name for name, there in zip(groups.names, present, strict=True) if not there],
    }
    if len(counts.groups) < 2:
        lacking = {"defined": False, "n": 0, "reason": "fewer than two groups have images", "note": None}
        return record | {"gaps": {metric.name: lacking for metric in gap_metrics(names)}, "standardized": None}
    gaps: Record = {}
    for metric in gap_metrics(names):
        observed = getattr(compared, metric.statistic)
        undefined = bool(np.isnan(metric.value(observed, observed)))
        gaps[metric.name] = {
            "defined": not undefined,
            "n": 0 if undefined else metric.rows(observed),
            "reason": metric.reason(observed) if undefined else None,
            "note": metric.note(observed),
        }
    kept = comparable_classes(counts)
    standardized = {
        "min_cell": MIN_CELL,
        "classes": [name for name, k in zip(classes, kept, strict=True) if k],
        "left_out": [name for name, k in zip(classes, kept, strict=True) if not k],
        "covered": covered_share(counts, kept),
    }
    return record | {"gaps": gaps, "standardized": standardized}
