"""Which group a network serves best and which worst, and what each weight is worth to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.groups import Groups
from mindgap.core.small_group import SMALL_GROUP
from mindgap.train.curvature import sample_losses


@dataclass(frozen=True)
class Standing:
    """How the groups fare.

    Attributes:
        images: of each group that has any.
        accuracy: of these groups.
        privileged: the best-off group; None where no two can be told apart.
        unprivileged: the worst-off group, likewise.
        reason: why no two groups can be told apart, if so.
    """

    images: Mapping[str, int]
    accuracy: Mapping[str, float]
    privileged: str | None
    unprivileged: str | None
    reason: str | None


def group_standing(
    right: NDArray[np.float64],
    losses: NDArray[np.float64],
    groups: Groups,
    *,
    where: str,
    comparable: NDArray[np.bool_] | None = None,
) -> Standing:
    """Finds the group of the highest and that of the lowest accuracy, ties by mean loss.

    Groups with fewer than ``SMALL_GROUP`` images count only where there are not two others.

    Args:
        right: float64 (n,), share of labels predicted rightly.
        losses: float64 (n,).
        groups: of the n images.
        where: which images they are, in a word, for the reason.
        comparable: bool (G,), groups that may be the best or the worst; None is all.
    """
    names, counts = groups.names, groups.counts()
    merits = {
        g: (right[groups.ids == g].mean(), -losses[groups.ids == g].mean()) for g in map(int, np.flatnonzero(counts))
    }
    allowed = [g for g in merits if comparable is None or comparable[g]]
    reliable = [g for g in allowed if counts[g] >= SMALL_GROUP]
    ranked = sorted(reliable if len(reliable) > 1 else allowed, key=merits.__getitem__)
    reason = None
    if len(ranked) < 2:
        reason = f"fewer than two groups of {groups.attribute} have {where} images to compare"
    elif merits[ranked[0]] == merits[ranked[-1]]:
        reason = f"all groups of {groups.attribute} have the same accuracy and loss"
    return Standing(
        images={names[g]: int(counts[g]) for g in merits},
        accuracy={names[g]: float(merit[0]) for g, merit in merits.items()},
        privileged=names[ranked[-1]] if reason is None else None,
        unprivileged=names[ranked[0]] if reason is None else None,
        reason=reason,
    )


def rights_and_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of labels predicted rightly and loss of every image, float64 (2, B), from float32 logits (B, C)."""
    right = (logits > 0) == (labels > 0) if labels.ndim == 2 else (logits.argmax(dim=1) == labels)[:, None]
    return torch.stack([right.double().mean(dim=1), sample_losses(logits, labels).double()])


def weight_saliencies(
    weights: Mapping[str, Tensor], of_worst: Mapping[str, Tensor], of_best: Mapping[str, Tensor], *, beta: float
) -> dict[str, Tensor]:
    """FairPrune's s_j = ½θ_j²(H_jj^unpriv − β H_jj^priv) of every weight (Wu et al. 2022).

    ½θ_j²H_jj is what zeroing θ_j alone adds to a group's mean loss, to second order.

    Example:
        Weights 2 and 1, H = 3 and 1 of the unprivileged, 1 and 4 of the privileged group, β = ½:
        s = ½·4·(3 − ½) = 5 and ½·1·(1 − 2) = −½.
    """
    return {name: 0.5 * w.square() * (of_worst[name] - beta * of_best[name]) for name, w in weights.items()}
