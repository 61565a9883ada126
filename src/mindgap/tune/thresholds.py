"""Another decision threshold for a label: what everyone should try before a swarm.

A threshold moves one number of the head, its bias, and all that it can reach is found exactly: between two neighbouring
scores the decisions are the same, so there are at most n + 1 of them. What a head can do beyond is to change the order
of the rows, such as to lift the positives of one group among the negatives of all.

A threshold per group is not offered. It can reach any pair of selection rates, but it needs the group of every image
where the network is used: whether a face is a woman's, or which tone band a skin is of, must then be known or be
guessed by a second network, with errors of its own. A network with a head or a threshold for all decides from the image
alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mindgap.core.errors import ShapeError
from mindgap.core.groups import Groups
from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.metrics.pareto import non_dominated
from mindgap.metrics.predictions import LABEL_CLASSES
from mindgap.tune.objectives import Objectives


@dataclass(frozen=True, eq=False)
class ThresholdFront:
    """The thresholds of which none is beaten by another.

    Attributes:
        thresholds: float64 (K,), a label is predicted where its logit is above; rising. −∞ and ∞ predict it always and
            never.
        objectives: float64 (K, M).
    """

    thresholds: Floats
    objectives: Floats


def threshold_front(
    logits: Floats, labels: NDArray[np.uint8], groups: Groups, objectives: Objectives
) -> ThresholdFront:
    """The Pareto set over all thresholds of one label, exact.

    Rows are sorted by their logit; running sums of positives and negatives per group are the counts of every threshold
    at once, O(n log n). Thresholds lie half-way between neighbours, except that a trained network's own 0 stays 0. Of
    thresholds with the same objectives the one next to 0 stays.

    Args:
        logits: float64 (n,) of the label.
        labels: uint8 (n,) 0/1.
        groups: of the rows; those of unknown group are left out.
        objectives: what is minimised.

    Raises:
        ShapeError: lengths differ, a logit is NaN, or there is no row of known group.
        DataError: an objective is undefined on these rows.
    """
    known = groups.known
    if not len(logits) == len(labels) == len(known) or np.isnan(logits).any() or not known.any():
        raise ShapeError(
            f"thresholds need a logit, a label and a group per row, some groups known and no logit NaN; got "
            f"{len(logits)} logits, {len(labels)} labels, {int(known.sum())} of {len(known)} groups"
        )
    ends, counts = _counts_by_cut(logits[known], labels[known], groups.take(np.flatnonzero(known)))
    perfect = counts[0].sum(axis=-1)[..., None] * np.eye(2)
    observed = GroupCounts(perfect, groups.names, LABEL_CLASSES)
    objectives.check(observed, what="the label")
    values = objectives.of(GroupCounts(counts, groups.names, LABEL_CLASSES), observed)
    return _best(_between(ends), values)


def shift_threshold(classifier: nn.Linear, label: int, threshold: float) -> None:
    """Takes a threshold off the label's bias, so that the network decides by it at a logit of 0, as it did before.

    Raises:
        ShapeError: the threshold is infinite: a label that is always or never predicted is not written.
    """
    if not np.isfinite(threshold):
        raise ShapeError(
            f"threshold {threshold}: predicts the label {'always' if threshold < 0 else 'never'}; choose another point"
        )
    with torch.no_grad():
        classifier.bias[label] -= threshold


def _counts_by_cut(logits: Floats, labels: NDArray[np.uint8], groups: Groups) -> tuple[Floats, Floats]:
    """Rising values of the logit, and counts (their number + 1, G, 2, 2) with all of them above the cut, then fewer."""
    size = len(groups.names)
    order = np.argsort(logits, kind="stable")
    cells = (groups.ids * 2 + labels.astype(np.int64))[order]
    below = np.zeros((len(order) + 1, 2 * size))
    below[1:] = np.cumsum(np.eye(2 * size)[cells], axis=0)
    values, begins = np.unique(logits[order], return_index=True)
    below = below[np.append(begins, len(order))]
    selected = below[-1] - below
    return values, np.stack([below, selected], axis=-1).reshape(-1, size, 2, 2)


def _between(values: Floats) -> Floats:
    """A threshold for every cut: half-way, 0 where that is between, −∞ before the first and ∞ after the last."""
    edges = np.concatenate([[-np.inf], values, [np.inf]])
    low, high = edges[:-1], edges[1:]
    with np.errstate(invalid="ignore"):
        middle = np.where(np.isinf(low) | np.isinf(high), np.where(np.isinf(low), low, high), (low + high) / 2)
    middle = np.maximum(middle, low)  # half-way between neighbouring floats may round up to the higher one
    middle = np.where(middle >= high, low, middle)
    return np.where((low <= 0) & (high > 0), 0.0, middle)


def _best(thresholds: Floats, values: Floats) -> ThresholdFront:
    """The points that no other dominates, one of each kind."""
    order = np.lexsort((np.abs(thresholds), *values.T[::-1]))
    ordered = values[order]
    fresh = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    kept = order[fresh & ~np.isnan(ordered).any(axis=1)]
    if values.shape[1] == 2:  # in the order of the first, only a new least of the second is on the front
        second = values[kept, 1]
        kept = kept[np.append(True, second[1:] < np.minimum.accumulate(second)[:-1])]
    front = np.sort(kept[non_dominated(values[kept], [False] * values.shape[1])])
    return ThresholdFront(thresholds[front], values[front])
