"""Whose a checkpoint is: digests of everything that decides a run's weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.core.groups import Groups
from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture
from mindgap.train.checkpoint import run_key
from mindgap.train.settings import TrainSettings


@dataclass(frozen=True)
class RunKeys:
    """Two digests of a run.

    Attributes:
        whole: of all that decides its weights at any time.
        stem: of all that decides them before the decay; runs that differ in nothing but their length share it.
    """

    whole: str
    stem: str


def run_keys(
    store: Store,
    train_rows: NDArray[np.int64],
    *,
    groups: Sequence[Groups],
    settings: TrainSettings,
    architecture: Architecture,
) -> RunKeys:
    """The digests of a run on these rows (int64 (n,)) of a store, and the groups of its attributes there."""
    rows = run_key(train_rows.tobytes().hex(), *(of.take(train_rows).ids.tobytes().hex() for of in groups))
    of_any_length = settings.model_copy(update={"epochs": 1, "decay_epochs": None})

    def key(of: TrainSettings) -> str:
        return run_key(store.fingerprint, rows, of.model_dump_json(), architecture.to_json())

    return RunKeys(whole=key(settings), stem=key(of_any_length))
