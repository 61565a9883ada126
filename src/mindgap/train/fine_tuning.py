"""Training on from a network's weights with patience: the epoch that is best on held-out images is kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from mindgap.core.files import atomic_path, read_json, write_json
from mindgap.core.groups import Groups
from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture, weight_bytes
from mindgap.space.network import Network
from mindgap.train.checkpoint import CHECKPOINT_FILE
from mindgap.train.loop import EpochRecord, TrainingRun, train_network
from mindgap.train.modes import Mode
from mindgap.train.precision import FP32
from mindgap.train.settings import TrainSettings

RECORD_FILE, BEST_FILE, CHECKPOINT = "fine_tuning.json", "best.safetensors", "checkpoint"

Watch = Callable[[Network, Sequence[Mode]], float]
"""A figure of a network on held-out images, larger is better, computed in these modes."""


@dataclass(frozen=True, eq=False)
class FineTuned:
    """A network after fine-tuning, with the weights of its best epoch.

    Attributes:
        network: in evaluation mode, on the device it was trained on.
        best_epoch: from 1.
        figures: of what was watched, at the beginning and after every epoch.
        epochs: one record per epoch.
        modes: how each part was computed.
        image_passes: images passed through the network in training, those of later epochs than the best included.
        seconds: time of all epochs.
    """

    network: Network
    best_epoch: int
    figures: tuple[float, ...]
    epochs: tuple[dict[str, Any], ...]
    modes: tuple[Mode, ...]
    image_passes: int
    seconds: float


class _Enough(Exception):  # noqa: N818  (no error: patience has run out)
    pass


def fine_tune(
    network: Network,
    store: Store,
    *,
    architecture: Architecture,
    settings: TrainSettings,
    groups: Groups,
    watch: Watch,
    patience: int,
    folder: Path,
    more_groups: Sequence[Groups] = (),
    on_epoch: Callable[[EpochRecord], None] = lambda _: None,
) -> FineTuned:
    """Trains a network on from its weights, and takes the epoch with the best figure, the first of equal ones.

    Training ends after ``settings.epochs``, or when ``patience`` epochs in a row were no better than the best before
    them. What it began with is no candidate: a control that stayed as it was would not be fine-tuned. The figure that
    chose is flattered, as any that chose. Stopped at any moment, the same call goes on; on the same machine it ends
    with the same weights. All parameters need a gradient at the end, those that were frozen too.

    A mitigation that works after the last epoch (``finish``) does so whether or not that epoch is taken: take none.

    Args:
        network: with the weights to begin with; it is trained in place.
        store: images and labels; its training rows are trained on.
        architecture: of the network.
        settings: of training; the learning rate is the peak of its schedule.
        groups: the sensitive attribute over all rows of the store.
        watch: the figure; not NaN.
        patience: epochs without a better figure after which training ends, at least 1.
        folder: of this fine-tuning; it keeps the record, the best weights and, until it is finished, a checkpoint.
        more_groups: further attributes over all rows, for a mitigation that treats several at once.
        on_epoch: told of every epoch.

    Raises:
        TrainingFailure: training diverged or ran out of memory.
        ConfigError: a setting does not fit the data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = _begun(folder) or {
        "finished": False, "figures": [watch(network, FP32.modes(architecture))], "epochs": [], "modes": [],
    }  # fmt: skip

    def before_epoch(epoch: int) -> None:
        if epoch and epoch - _best(record["figures"][: epoch + 1]) >= patience:
            raise _Enough

    def after_epoch(epoch: EpochRecord, run: TrainingRun) -> Mapping[str, float | None]:
        figure = watch(run.network, run.modes)
        earlier = record["figures"][: epoch.epoch]
        if epoch.epoch == 1 or figure > max(earlier[1:]):
            _keep(folder, run.network)
        done = [*record["epochs"][: epoch.epoch - 1], asdict(epoch)]
        record.update(figures=[*earlier, figure], epochs=done, modes=list(run.modes))
        write_json(folder / RECORD_FILE, record)
        on_epoch(epoch)
        return {"watched": figure}

    with suppress(_Enough):
        if record["finished"]:
            raise _Enough
        train_network(
            network,
            store,
            train_rows=store.rows("train"),
            groups=groups,
            settings=settings,
            architecture=architecture,
            checkpoint_dir=folder / CHECKPOINT,
            on_epoch=after_epoch,
            before_epoch=before_epoch,
            more_groups=more_groups,
        )
    write_json(folder / RECORD_FILE, record | {"finished": True})
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    network.load_state_dict(load_file(folder / BEST_FILE))
    return FineTuned(
        network=network.requires_grad_(requires_grad=True).eval(),
        best_epoch=_best(record["figures"]),
        figures=tuple(record["figures"]),
        epochs=tuple(record["epochs"]),
        modes=tuple(record["modes"]),
        image_passes=sum(epoch["images"] for epoch in record["epochs"]),
        seconds=sum(epoch["seconds"] for epoch in record["epochs"]),
    )


def _begun(folder: Path) -> dict[str, Any] | None:
    """The record of a fine-tuning that can go on, or is done; without its checkpoint it begins anew."""
    if not (folder / RECORD_FILE).is_file():
        return None
    record = read_json(folder / RECORD_FILE)
    return record if record["finished"] or (folder / CHECKPOINT / CHECKPOINT_FILE).is_file() else None


def _best(figures: Sequence[float]) -> int:
    """The first best epoch, from 1."""
    return 1 + figures[1:].index(max(figures[1:]))


def _keep(folder: Path, network: Network) -> None:
    with atomic_path(folder / BEST_FILE) as temporary:
        temporary.write_bytes(weight_bytes(network))
