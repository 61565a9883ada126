"""Training of one network, with checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.core.config import parse
from mindgap.core.errors import OutOfMemoryFailure, TrainingFailure
from mindgap.core.groups import Groups
from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture
from mindgap.space.network import Network
from mindgap.train.checkpoint import STEM_FILE, TEACHER, load_checkpoint, save_checkpoint
from mindgap.train.device import is_out_of_memory
from mindgap.train.memory import keep_freed_memory
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation
from mindgap.train.modes import Mode
from mindgap.train.precision import PrecisionPlan, make_plan
from mindgap.train.settings import TrainSettings
from mindgap.train.training_run import EpochRecord, OnEpoch, TrainingRun

__all__ = ["EpochRecord", "OnEpoch", "TrainResult", "TrainSettings", "TrainingRun", "train_network"]


@dataclass(frozen=True, eq=False)
class TrainResult:
    """A trained network and how it came about.

    Attributes:
        network: the trained network, which is the one given unless the mitigation replaced it.
        mitigation: with its final state.
        history: one record per epoch, those before a resume included.
        modes: how each part of the network was computed.
        image_passes: images passed through a network in training, those of a teacher included, but not those of a
            shorter run that it went on from.
        seconds: time of its epochs, likewise.
    """

    network: Network
    mitigation: AbstractMitigation
    history: tuple[EpochRecord, ...]
    modes: tuple[Mode, ...]
    image_passes: int
    seconds: float

    @property
    def spent(self) -> dict[str, float]:
        """What training took, as a search counts it; ``epochs`` are all that the network has behind it."""
        return {"epochs": len(self.history), "image_passes": self.image_passes, "seconds": self.seconds}


def train_network(
    network: Network,
    store: Store,
    *,
    train_rows: NDArray[np.int64],
    groups: Groups,
    settings: TrainSettings,
    architecture: Architecture,
    checkpoint_dir: Path | str | None = None,
    on_epoch: OnEpoch | None = None,
    before_epoch: Callable[[int], None] | None = None,
    on_teacher_epoch: Callable[[int], None] | None = None,
    precision_plan: PrecisionPlan | None = None,
    keep_stem: bool = False,
    may_look: bool = True,
    more_groups: Sequence[Groups] = (),
) -> TrainResult:
    """Trains a network in place.

    With a checkpoint folder, a run that was stopped goes on after its last whole epoch and ends, on the same machine
    with the same number of threads, with the same weights as if it had not been stopped. With ``keep_stem`` it also
    saves ``stem.pt`` before the learning rate of ``trapezoid`` decays; a longer run that finds that file in its folder
    goes on from it, and ends with the same weights as one trained from the beginning.

    Args:
        network: the network, with its first weights.
        store: images and labels.
        train_rows: int64 (n,), the rows to train on.
        groups: the sensitive attribute over all rows of the store.
        settings: options of the run.
        architecture: of the network.
        checkpoint_dir: where to save after every epoch; None saves nothing.
        on_epoch: called after every epoch, before it is saved, with its record and the run; what it returns is kept in
            the record's ``extra``. It may evaluate the run's network, and may raise to stop.
        before_epoch: called with the number of epochs that are done and saved, before another begins; it may raise to
            stop without losing anything.
        on_teacher_epoch: called with the number, from 1, of every epoch of a teacher that is done, before it is saved;
            it may raise to stop.
        precision_plan: how to compute each part; None makes a plan as ``settings.precision`` says.
        keep_stem: whether a longer run may follow.
        may_look: whether the validation images may steer a blend or a mitigation; not if some of them are held out, as
            of a fold.
        more_groups: further attributes over all rows, for a mitigation that treats several at once.

    Raises:
        TrainingFailure: a loss or weight became NaN or infinite, or the loss diverged.
        OutOfMemoryFailure: memory ran out.
        ConfigError: a setting does not fit the data.
        UnknownNameError: no loss or mitigation has the name.
    """
    keep_freed_memory()
    teacher, kind = None, MITIGATIONS.get(settings.mitigation)
    if kind.needs_teacher:
        parse(kind.options_model, settings.mitigation_options, source=f"mitigation {settings.mitigation}")
        teacher = train_network(
            deepcopy(network),
            store,
            train_rows=train_rows,
            groups=groups,
            settings=settings.model_copy(update={"mitigation": "erm", "mitigation_options": {}}),
            architecture=architecture,
            checkpoint_dir=None if checkpoint_dir is None else Path(checkpoint_dir) / TEACHER,
            on_epoch=None if on_teacher_epoch is None else lambda record, _: on_teacher_epoch(record.epoch),
            before_epoch=None if before_epoch is None else lambda _: before_epoch(0),
            precision_plan=precision_plan,
            may_look=may_look,
        )
    try:
        run = TrainingRun(
            network,
            store,
            train_rows=train_rows,
            groups=groups,
            settings=settings,
            architecture=architecture,
            more_groups=more_groups,
            may_look=may_look,
        )
        if teacher is not None:
            run.mitigation.take_teacher(teacher.network.eval().requires_grad_(requires_grad=False))
        state = None if checkpoint_dir is None else _saved(Path(checkpoint_dir), run)
        if state is None:
            plan = precision_plan or make_plan(
                settings.precision, architecture, batch_size=settings.batch_size, device=run.device
            )
            run.modes = plan.modes(architecture)
        else:
            run.load_state_dict(state)
        for epoch in range(len(run.history), settings.epochs):
            if before_epoch is not None:
                before_epoch(epoch)
            _train_epoch(run, epoch, on_epoch, teacher=teacher)
            if checkpoint_dir is not None:
                if keep_stem and not kind.needs_teacher and epoch + 1 == settings.stable_epochs:
                    stem = run.state_dict(key=run.keys.stem) | {"made_by": run.keys.whole}
                    save_checkpoint(checkpoint_dir, stem, name=STEM_FILE)
                save_checkpoint(checkpoint_dir, run.state_dict(key=run.keys.whole))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryFailure(settings.batch_size) from error
    passes, seconds = _passes_and_seconds(run, run.history, teacher)
    return TrainResult(
        network=run.network,
        mitigation=run.mitigation,
        history=tuple(run.history),
        modes=run.modes,
        image_passes=passes,
        seconds=seconds,
    )


def _train_epoch(run: TrainingRun, epoch: int, on_epoch: OnEpoch | None, *, teacher: TrainResult | None) -> None:
    try:
        run.train_epoch(epoch, on_epoch)
    except TrainingFailure as failure:
        failure.history = failure.history or tuple(run.history)  # a loss or mitigation may have failed within the epoch
        passes, seconds = _passes_and_seconds(run, failure.history, teacher)
        failure.spent = {"epochs": len(failure.history), "image_passes": passes, "seconds": seconds}
        raise


def _passes_and_seconds(
    run: TrainingRun, history: Sequence[EpochRecord], teacher: TrainResult | None
) -> tuple[int, float]:
    """What the epochs that were not inherited took, and the teacher."""
    own = history[run.inherited :]
    passes = round(run.mitigation.passes_per_image * sum(record.images for record in own))
    seconds = sum(record.seconds for record in own)
    return (passes, seconds) if teacher is None else (passes + teacher.image_passes, seconds + teacher.seconds)


def _saved(folder: Path, run: TrainingRun) -> dict[str, Any] | None:
    """Where the run goes on: at its own last epoch, else where a shorter one began to decay."""
    state = load_checkpoint(folder, run=run.keys.whole)
    if state is not None or run.settings.schedule != "trapezoid" or run.mitigation.needs_teacher:
        return state  # a shorter run had another teacher
    stem = load_checkpoint(folder, run=run.keys.stem, name=STEM_FILE)
    if stem is None or len(stem["history"]) > run.settings.stable_epochs:
        return None
    if stem.get("made_by") != run.keys.whole:  # else it is this run's own, which was stopped before its checkpoint
        stem["inherited"] = len(stem["history"])
    return stem
