"""The batches of a run, with the share of every group that settings or mitigation ask for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import ConfigError
from mindgap.core.groups import Groups
from mindgap.core.seed import derive_seed
from mindgap.data.batches import BatchPlan, parse_ratios, ratios_from_mapping
from mindgap.train.mitigation import AbstractMitigation
from mindgap.train.settings import TrainSettings


def batch_plan(groups: Groups, mitigation: AbstractMitigation, settings: TrainSettings) -> BatchPlan:
    """The batches over the training rows, whose groups are given, as the mitigation or the settings want them.

    Raises:
        ConfigError: the ratios or the batch size do not fit the groups, or leave a group's own part untrained.
    """
    wish = mitigation.batches(groups)
    if wish.ratios is not None and settings.ratios not in ("natural", "uniform"):
        raise ConfigError(
            f"mitigation {settings.mitigation!r} chooses the batches' ratios itself, got {settings.ratios!r}; leave "
            "one of the two out"
        )
    ratios = wish.ratios if wish.ratios is not None else batch_ratios(settings.ratios, groups)
    plan = BatchPlan(
        groups.ids,
        ratios,
        batch_size=settings.batch_size,
        seed=derive_seed(settings.seed, "batches"),
        min_per_group=wish.min_per_group,
    )
    if mitigation.part_per_group and ratios is not None:
        _refuse_untrained_parts(plan, groups, settings, ratios=ratios, min_per_group=wish.min_per_group)
    return plan


def _refuse_untrained_parts(
    plan: BatchPlan, groups: Groups, settings: TrainSettings, *, ratios: NDArray[np.float64], min_per_group: int
) -> None:
    """Refuses a group that has training images and would be drawn less than once in the whole run.

    What is predicted without the group takes the parts of all groups together, and must not meet one as it was drawn.

    Raises:
        ConfigError: there is one.
    """
    of_a_batch = np.where(ratios > 0, np.maximum(plan.shares[:-1] * settings.batch_size, min_per_group), 0.0)
    images = of_a_batch * plan.steps_per_epoch * settings.epochs
    for group in np.flatnonzero((groups.counts() > 0) & (images < 1.0)):
        raise ConfigError(
            f"mitigation {settings.mitigation!r} trains a part of the network on each group's own images, and a share "
            f"of {ratios[group]:g} gives group {groups.names[group]!r} under one image in all {settings.epochs} "
            "epochs; give it a larger one, or take another mitigation"
        )


def batch_ratios(ratios: str | Mapping[str, float], groups: Groups) -> NDArray[np.float64] | None:
    """The share of each group in the batches, float64 (G,), from an option and the training rows' groups.

    Returns None for ``natural``.

    Raises:
        ConfigError: a group is unknown, missing or empty, or the shares do not sum to 1.
    """
    if ratios == "natural":
        return None
    if isinstance(ratios, str):
        return parse_ratios(ratios, groups.names, groups.counts())
    return ratios_from_mapping(ratios, groups.names, groups.counts())
