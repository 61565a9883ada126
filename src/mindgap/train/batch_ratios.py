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
        ConfigError: the ratios or the batch size do not fit the groups.
    """
    wish = mitigation.batches(groups)
    if wish.ratios is not None and settings.ratios not in ("natural", "uniform"):
        raise ConfigError(
            f"mitigation {settings.mitigation!r} chooses the batches' ratios itself, got {settings.ratios!r}; leave "
            "one of the two out"
        )
    ratios = wish.ratios if wish.ratios is not None else batch_ratios(settings.ratios, groups)
    return BatchPlan(
        groups.ids,
        ratios,
        batch_size=settings.batch_size,
        seed=derive_seed(settings.seed, "batches"),
        min_per_group=wish.min_per_group,
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
