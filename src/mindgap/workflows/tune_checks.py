"""What a tuning refuses before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import nn

from mindgap.core.config import parse
from mindgap.core.errors import ConfigError, DataError, RunError, near_names
from mindgap.space.network import Network
from mindgap.tune.choice import pick
from mindgap.tune.optimizer import OPTIMIZERS
from mindgap.workflows.tune_fronts import front_path
from mindgap.workflows.tune_job import TuneJob


def check_tuning(job: TuneJob) -> None:
    """Refuses unknown names, impossible options and rows that do not suffice.

    Raises:
        MindgapError: the run, its store, the attribute, a label, an objective, the optimiser or the device is wrong.
    """
    model, options = job.model, job.options
    if model.kept is not None or type(model.network) is not Network:
        raise RunError(
            f"{model.path}: its network does not predict alone, but by its mitigation; tune a run of another mitigation"
        )
    if not len(job.store.rows("validation")):
        raise DataError(f"{job.store.path}: has no validation images, on which heads are tuned; prepare it with some")
    parse(OPTIMIZERS.get(options.optimizer).options_model, options.optimizer_options, source="optimizer_options")
    if options.hidden is not None and not isinstance(model.network.hidden, nn.Identity):
        raise ConfigError(
            f"hidden={options.hidden}: the network of {model.path} has a hidden layer already, of "
            f"{model.architecture.head.hidden} units; leave --hidden out"
        )
    if options.hidden is not None and not len(job.store.rows("train")):
        raise DataError(f"{job.store.path}: has no training images, on which a hidden head is trained first")
    _ = job.objectives, job.attribute, job.head((0,)), job.device, job.labels
    _check_mode(job)
    _check_rows(job)


def check_picks(job: TuneJob, folder: Path, picks: Mapping[str, int], *, force: bool) -> None:
    """Refuses points that are on no front.

    Raises:
        ConfigError: the run is to be replaced, a front is not there yet, a name has none, or one has no such point.
    """
    if picks and force:
        raise ConfigError(
            "pick and force: a point is picked of fronts that are there, and force replaces them; give one"
        )
    names = {unit.name: unit for unit in job.units}
    for name, number in picks.items():
        if name not in names:
            raise ConfigError(f"pick {name}={number}: {name!r} has no front; {near_names(name, names)}")
        path = front_path(folder, job, names[name])
        if not path.is_file():
            raise ConfigError(f"pick {name}={number}: {folder} has no front of it yet; tune without --pick first")
        pick(number, size=len(np.load(path, mmap_mode="r")))


def _check_mode(job: TuneJob) -> None:
    mode, names = job.options.mode, job.objectives.names
    if mode == "thresholds" and not job.is_multi_label:
        raise ConfigError(
            f"mode=thresholds: the classes of {job.store.path} exclude each other and have no thresholds; give "
            "--mode multitask"
        )
    if mode == "dynamic" and job.is_multi_label and (len(names) != 2 or "accuracy" not in names):
        raise ConfigError(f"objectives={','.join(names)}: mode dynamic weighs accuracy against one gap; give those two")


def _check_rows(job: TuneJob) -> None:
    for rows in job.halves:
        if not job.groups.take(rows).known.any():
            raise DataError(
                f"{job.store.path}: no validation image has a known {job.attribute!r}; name another attribute"
            )
        for unit in job.units:
            cells = job.cells(rows, unit.outputs)
            for task in range(cells.tasks):
                job.objectives.check(cells.observed(task), what=unit.name)
