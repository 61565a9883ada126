"""Confusion counts of every group for all heads of a swarm at once: all that its objectives need to know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import ShapeError
from mindgap.core.groups import Groups
from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.metrics.predictions import LABEL_CLASSES
from mindgap.tune.head import AbstractHead, swarm_logits


@dataclass(frozen=True, eq=False)
class Cells:
    """The group and true class of every row, as rows of tasks.

    Attributes:
        ids: int64 (T, n), group · K + class of each of T tasks (labels, or one of K classes), -1 where the group is
            unknown: such rows are in no count.
        groups: the G group names.
        classes: the K class names; ``0`` and ``1`` of a label.
        multi_label: whether a task is a 0/1 label with one logit, or there is one task with a logit per class.
    """

    ids: Tensor
    groups: tuple[str, ...]
    classes: tuple[str, ...]
    multi_label: bool

    @property
    def tasks(self) -> int:
        """T."""
        return len(self.ids)

    @property
    def n(self) -> int:
        """Rows, those of unknown group included."""
        return self.ids.shape[1]

    @property
    def outputs(self) -> int:
        """Logits that a head must give."""
        return self.tasks if self.multi_label else len(self.classes)

    def task(self, index: int) -> Cells:
        """One label of them."""
        return Cells(self.ids[index : index + 1], self.groups, self.classes, self.multi_label)

    def observed(self, index: int = 0) -> GroupCounts:
        """The counts of predictions without error of one task: they say which rows there are."""
        wide = len(self.classes)
        ids = self.ids[index]
        rows = torch.bincount(ids[ids >= 0], minlength=len(self.groups) * wide).cpu().double().numpy()
        counts = rows.reshape(len(self.groups), wide)[..., None] * np.eye(wide)
        return GroupCounts(counts, self.groups, self.classes)

    def counts(self, head: AbstractHead, vectors: Tensor, features: Tensor) -> Floats:
        """Confusion counts of every head, task and group, float64 (P, T, G, K, K) by [true, predicted].

        A label is predicted where its logit is above 0, a class where its logit is the largest, the first of a tie, as
        in an audit. The counts are whole numbers and exact; those of a vector that is not finite are NaN.

        Args:
            head: the shape of all heads.
            vectors: float32 (P, D).
            features: float32 (n, F), of the same rows.

        Raises:
            ShapeError: rows or outputs do not fit.
        """
        if len(features) != self.n or head.outputs != self.outputs:
            raise ShapeError(
                f"the head gives {head.outputs} logits for {len(features)} rows; the labels need {self.outputs} for "
                f"{self.n}"
            )
        wide, places = len(self.classes), len(self.groups) * len(self.classes)
        shape = (self.tasks, len(vectors), places, wide)
        total = torch.zeros(shape, dtype=torch.float64, device=features.device)
        names = torch.arange(places, device=features.device)
        for heads, rows, logits in swarm_logits(head, vectors, features):
            inside = (self.ids[:, rows, None] == names).to(torch.float32)  # (T, n', G·K)
            chosen = [logits.gt_(0).transpose(0, 1)] if self.multi_label else _one_hot(logits)
            found = torch.stack([mask @ inside for mask in chosen], dim=-1).double()
            if self.multi_label:
                found = torch.cat([inside.sum(dim=1)[:, None, :, None].double() - found, found], dim=-1)
            total[:, heads] += found
        total[:, ~vectors.isfinite().all(dim=1)] = torch.nan  # no head: else NaN logits were "never"
        by_group = total.transpose(0, 1).unflatten(2, (len(self.groups), wide))
        return by_group.cpu().numpy()


def _one_hot(logits: Tensor) -> list[Tensor]:
    """Where each class is predicted, float32 (1, P, n') of 0 and 1 each."""
    predicted = logits.argmax(dim=1)
    return [(predicted == index)[None].to(logits.dtype) for index in range(logits.shape[1])]


def make_cells(
    labels: NDArray[np.int64] | NDArray[np.uint8],
    groups: Groups,
    *,
    classes: tuple[str, ...],
    device: torch.device | str = "cpu",
) -> Cells:
    """The cells of some rows.

    Args:
        labels: int64 (n,) class numbers, or uint8 (n, L) 0/1 labels.
        groups: of the same rows.
        classes: class names, or label names.
        device: where the features are.

    Raises:
        ShapeError: labels and groups differ in length, or there are not as many labels as names.
    """
    multi_label = labels.ndim == 2
    if len(labels) != len(groups.ids) or (multi_label and labels.shape[1] != len(classes)):
        raise ShapeError(
            f"labels have shape {labels.shape} for {len(groups.ids)} rows with groups and {len(classes)} names; give "
            "one row per row and one column per label"
        )
    names = LABEL_CLASSES if multi_label else classes
    by_task = np.atleast_2d(labels.T).astype(np.int64)
    ids = np.where(groups.known, groups.ids * len(names) + by_task, -1)
    return Cells(torch.from_numpy(ids).to(device), groups.names, names, multi_label)
