"""How accuracy and U change from one way of computing a network to another, on the same resamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mindgap.audit.record import Record, value_record
from mindgap.core.groups import Groups
from mindgap.core.seed import numpy_generator
from mindgap.metrics.bootstrap import draw_types
from mindgap.metrics.cluster_types import ClusteredRows, cluster_types
from mindgap.metrics.counts import Floats, Integers, divide
from mindgap.metrics.interval import Bounds, no_bounds, percentile_interval
from mindgap.metrics.predictions import Predictions

Figure = Callable[[Floats, Floats], Floats]

_STATES = 4
_UNCHANGED = "no interval: every image that was right is right, and every one that was wrong is wrong"


def paired_changes(
    before: Predictions, after: Predictions, *, replicates: int, min_group_of: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Accuracy and, for every attribute, U = Σ_g |A_g − A| after, less the same before.

    Clusters are drawn with replacement as for an audit; a resample holds the same images both times, so what the two
    ways share cancels out. Intervals are percentiles. Nothing is said of probabilities that move without changing
    which class is predicted.

    Args:
        before: predictions of some images.
        after: of the same images, in the same order.
        replicates: of the bootstrap; 0 leaves the intervals out.
        min_group_of: attribute → rows under which a group is left out of U, and its rows out of A in it.

    Returns:
        ``accuracy`` and ``unfairness``: attribute → V, a value with its interval; a group without an
        image is in none, and the value is None where fewer than two groups have images.
    """
    states = 2 * (before.predicted != before.labels) + (after.predicted != after.labels)
    everyone = Groups("everyone", ("everyone",), np.zeros(before.n, dtype=np.int64))
    smallest = min_group_of or {}
    return {
        "accuracy": _change(states, everyone, before.clusters, replicates, of=_accuracy),
        "unfairness": {
            name: _change(states, _compared(groups, smallest.get(name, 1)), before.clusters, replicates, of=_unfairness)
            for name, groups in before.groups.items()
        },
    }


def _compared(groups: Groups, smallest: int) -> Groups:
    """The groups of that many rows or more; rows of the others are of unknown group."""
    kept = groups.counts() >= smallest
    numbers = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)
    names = tuple(name for name, keep in zip(groups.names, kept, strict=True) if keep)
    return Groups(groups.attribute, names, numbers[groups.ids])


def _change(states: Integers, groups: Groups, clusters: Integers, replicates: int, *, of: Figure) -> Record:
    """V of a figure's change; states (n,) are 0 right both times, 1 right before, 2 right after, 3 never."""
    states = states.astype(np.int64)
    names, known = groups.names, groups.known
    rows = ClusteredRows.of(np.zeros_like(states), states, groups.ids, clusters, n_groups=len(names), n_classes=_STATES)
    counts = np.bincount(rows.cells, minlength=rows.n_cells).astype(np.float64)
    value = float(_difference(counts.reshape(1, *rows.shape), of)[0])
    moved = bool(np.isin(states[known], (1, 2)).any())
    bounds = _bounds(value, rows, replicates, of) if moved else no_bounds(_UNCHANGED)
    return value_record(value, bounds, n=int(known.sum()), reason="fewer than two groups have images")


def _bounds(value: float, rows: ClusteredRows, replicates: int, of: Figure) -> Bounds:
    types, generator = cluster_types(rows), numpy_generator(0, "paired change")
    weights = draw_types(types, replicates=replicates, generator=generator)
    counts = types.contributions.accumulate(weights).reshape(-1, *rows.shape)
    return percentile_interval(value, _difference(counts, of))


def _difference(counts: Floats, of: Figure) -> Floats:
    """Figure after less figure before, float64 (R,), of counts (R, G, 4, 4) whose first row holds the states."""
    both, first, second, neither = np.moveaxis(counts[..., 0, :], -1, 0)
    sizes = both + first + second + neither
    return of(both + second, sizes) - of(both + first, sizes)


def _accuracy(right: Floats, sizes: Floats) -> Floats:
    return divide(right.sum(axis=-1), sizes.sum(axis=-1))


def _unfairness(right: Floats, sizes: Floats) -> Floats:
    if right.shape[-1] < 2:
        return np.full(right.shape[:-1], np.nan)
    overall = _accuracy(right, sizes)
    return np.abs(divide(right, sizes) - overall[..., None]).sum(axis=-1)
