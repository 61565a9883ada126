"""Which gaps can be computed at all on a split, whatever a network says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mindgap.audit.record import Record
from mindgap.core.groups import Groups
from mindgap.metrics.counts import Integers, count_rows
from mindgap.metrics.metric import gap_metrics
from mindgap.metrics.unfairness import MIN_CELL, comparable_classes, covered_share


def answerable_gaps(labels: Integers, groups: Groups, *, classes: Sequence[str]) -> Record:
    """Every count-based gap as a network without an error would have it: defined or not, why, over which classes.

    Whether a gap is defined depends on which classes the groups have, and hardly on the predictions; a network that
    never names a class can leave a ratio undefined besides.

    Args:
        labels: int64 (n,) class numbers.
        groups: groups of the n rows.
        classes: the C class names.

    Returns:
        ``gaps``: by name ``defined``, ``n`` (rows it rests on), ``reason``, ``note``; and ``standardized``: the classes
        with 5 or more rows in every group, the others, and the share of rows covered.
    """
    counts = count_rows(labels, labels, groups.ids, groups=groups.names, classes=tuple(classes))
    compared = counts.keep(counts.sizes > 0)
    absent = [name for name in counts.groups if name not in compared.groups]
    if len(compared.groups) < 2:
        reason = "fewer than two groups have images"
        gaps = {m.name: {"defined": False, "n": 0, "reason": reason, "note": None} for m in gap_metrics()}
        return {"groups": list(compared.groups), "absent": absent, "gaps": gaps, "standardized": None}
    gaps: Record = {}
    for metric in gap_metrics():
        undefined = bool(np.isnan(metric.value(compared, compared)))
        gaps[metric.name] = {
            "defined": not undefined,
            "n": 0 if undefined else metric.rows(compared),
            "reason": metric.reason(compared) if undefined else None,
            "note": metric.note(compared),
        }
    kept = comparable_classes(compared)
    standardized = {
        "min_cell": MIN_CELL,
        "classes": [name for name, k in zip(classes, kept, strict=True) if k],
        "left_out": [name for name, k in zip(classes, kept, strict=True) if not k],
        "covered": covered_share(compared, kept),
    }
    return {"groups": list(compared.groups), "absent": absent, "gaps": gaps, "standardized": standardized}
