"""The chosen network: its files go to the run's root, and it alone meets the test split."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mindgap.core.errors import DataError
from mindgap.core.files import atomic_path
from mindgap.data.image_store import Store
from mindgap.metrics.predictions import MultiLabelPredictions, Predictions, write_predictions
from mindgap.search.plan import SearchPlan
from mindgap.search.training_options import candidate_settings
from mindgap.search.trial import LOG_FILE, PREDICTIONS_FILE
from mindgap.space.architecture import ARCHITECTURE_FILE, WEIGHTS_FILE, load_network
from mindgap.space.cost import count_cost, measure_latency_ms
from mindgap.train.evaluate import predict_probabilities
from mindgap.train.modes import Mode
from mindgap.train.remembered import one_thread
from mindgap.train.settings import TrainSettings
from mindgap.train.store_predictions import to_predictions

AnyPredictions = Predictions | MultiLabelPredictions


def trial_folder(run: Path, trial: Mapping[str, Any]) -> Path:
    """Where a candidate's files are."""
    return run / "trials" / str(trial["slot"]) / str(trial["attempt"])


def validation_predictions(store: Store, folder: Path) -> AnyPredictions:
    """A candidate's predictions of the validation split, as it left them.

    Raises:
        DataError: they are missing or of another store.
    """
    return to_predictions(store, store.rows("validation"), kept_probabilities(store, folder, "validation"))


def adopt(run: Path, trial: Mapping[str, Any]) -> None:
    """Copies the candidate's network and log to the run's root; none is replaced before all are copied."""
    with ExitStack() as whole:
        for name in (WEIGHTS_FILE, ARCHITECTURE_FILE, LOG_FILE):
            temporary = whole.enter_context(atomic_path(run / name))
            shutil.copyfile(trial_folder(run, trial) / name, temporary)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The chosen network's predictions of the two splits that judge it, the modes it was computed in, and its cost.

    A store may have no test rows.
    """

    validation: AnyPredictions
    test: AnyPredictions | None
    cost: dict[str, float]
    modes: tuple[Mode, ...]


def evaluate_chosen(run: Path, trial: Mapping[str, Any], *, plan: SearchPlan, store: Store) -> Evaluation:
    """Reads the test split, once, with the adopted network, and writes the run's ``predictions.parquet``."""
    architecture, network = load_network(run)
    modes = plan.precision_plan.modes(architecture)
    validation, test = store.rows("validation"), store.rows("test")
    with one_thread():
        of_test = predict_probabilities(
            network,
            store.image_tensor(),
            test,
            architecture=architecture,
            task=store.task,
            modes=modes,
        )
        latency_ms = measure_latency_ms(network, store.size_px)
    of_validation = kept_probabilities(store, trial_folder(run, trial), "validation")
    both = to_predictions(store, np.concatenate([validation, test]), np.concatenate([of_validation, of_test]))
    splits = ["validation"] * len(validation) + ["test"] * len(test)
    write_predictions(run / PREDICTIONS_FILE, both, split=splits)
    cost = count_cost(architecture)
    return Evaluation(
        validation=to_predictions(store, validation, of_validation),
        test=to_predictions(store, test, of_test) if len(test) else None,
        cost={"params": cost.params, "macs": cost.macs, "latency_ms": latency_ms},
        modes=modes,
    )


def training_record(trial: Mapping[str, Any]) -> dict[str, Any]:
    """What the candidate's training took."""
    return {name: trial[name] for name in ("image_passes", "seconds", "epochs")}


def training_settings(trial: Mapping[str, Any], plan: SearchPlan) -> TrainSettings:
    """How the candidate was trained, to the end; with the search's seed."""
    return candidate_settings(
        plan, training=trial["training"], ratios=trial["ratios"], seed=plan.seed, rung=plan.rungs.top
    )


def kept_probabilities(store: Store, folder: Path, split: str) -> NDArray[np.float64]:
    """Probabilities (n, C) of a split's rows as a run left them in its ``predictions.parquet``.

    Raises:
        DataError: they are missing or of another store.
    """
    path = folder / PREDICTIONS_FILE
    try:
        table = pd.read_parquet(path, columns=["id", "split", *(f"prob_{name}" for name in store.classes)])
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: cannot read the predictions ({reason})") from None
    table = table[table["split"] == split].drop(columns="split")
    expected = [str(name) for name in store.ids[store.rows(split)]]
    if table["id"].astype(str).tolist() != expected:
        raise DataError(f"{path}: is not of the store's {split} images; the run or the store was changed")
    return table.drop(columns="id").to_numpy(dtype=np.float64)
