"""Training of the lesion U-Net."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from mindgap.core.config import StrictModel
from mindgap.core.errors import DataError, TrainingFailure
from mindgap.core.seed import derive_seed, numpy_generator
from mindgap.tone.mask_augment import augmented
from mindgap.tone.mask_scores import jaccard
from mindgap.tone.unet import MEAN, STD, LesionNetwork, UNetSettings, lesion_network, predict_masks
from mindgap.tone.unet_checkpoint import Checkpoint, Progress, read_checkpoint, restore, task_digest, write_checkpoint

MOST_PX = 96  # side of images in training; larger ones are scaled down, as lesions are large and steps then fast


class UNetTraining(StrictModel):
    """How it is trained.

    Attributes:
        width: channels of the first level.
        encoder: of segmentation-models-pytorch in place of the own way down (extra ``segment``).
        encoder_weights: with which it starts, such as ``imagenet``; the package downloads them.
        input_px: side of the images in training; without one the images' own, 96 at most, down to a multiple of 8
            (32 with an encoder).
        epochs: passes over the training images, at most.
        minutes: on the clock; as many epochs are planned as fit, one at least, by the time of a first step.
        batch_size: images per step.
        lr: peak learning rate; it rises and falls once (one cycle) over the epochs that are planned.
        narrow: computes in bf16 where it may: a step takes half as long on a processor with AMX.
        seed: of weights, batches and augmentation.
    """

    width: int = Field(default=16, ge=1)
    encoder: str | None = None
    encoder_weights: str | None = None
    input_px: int | None = Field(default=None, ge=8)
    epochs: int = Field(default=20, ge=1)
    minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    batch_size: int = Field(default=32, ge=2)
    lr: float = Field(default=3e-3, gt=0)
    narrow: bool = False
    seed: int = 0


@dataclass(frozen=True)
class UNetEpoch:
    """One epoch, from 1: mean loss, and mean Jaccard on the validation images, empty masks left out."""

    epoch: int
    loss: float
    jaccard: float


@dataclass(frozen=True, eq=False)
class _Task:
    """What is trained on."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    train_rows: NDArray[np.int64]
    validation_rows: NDArray[np.int64]
    settings: UNetTraining
    input_px: int

    @property
    def steps(self) -> int:
        return len(self.train_rows) // self.settings.batch_size

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """uint8 (N, 3, S, S) and bool (N, S, S), S being ``input_px``."""
        images, masks = _tensor(self.images, rows), torch.from_numpy(self.masks[rows] > 127)
        if images.shape[-2:] == (self.input_px, self.input_px):
            return images, masks
        size = (self.input_px, self.input_px)
        smaller = functional.interpolate(images.float(), size=size, mode="bilinear", antialias=True)
        share = functional.interpolate(masks[:, None].float(), size=size, mode="bilinear", antialias=True)[:, 0]
        return smaller.round().clamp(0, 255).to(torch.uint8), share > 0.5


def train_unet(
    images: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    *,
    train_rows: NDArray[np.int64],
    validation_rows: NDArray[np.int64],
    settings: UNetTraining | None = None,
    checkpoint: Path | None = None,
    device: torch.device | str = "cpu",
    on_epoch: Callable[[UNetEpoch], None] = lambda _: None,
) -> LesionNetwork:
    """Trains a U-Net, and gives back its epoch of highest Jaccard on the validation images.

    The loss is the mean of binary cross-entropy and 1 − Dice. Rows have to be disjoint by patient or lesion, which is
    the caller's to see to.

    Args:
        images: uint8 (N, S, S, 3), such as a store's map.
        masks: uint8 (N, S, S), 0 or 255.
        train_rows: int64.
        validation_rows: int64.
        settings: how.
        checkpoint: a file written after every epoch; a training that was killed goes on from it, to the same bits.
        device: where it is computed; a killed training comes to the same bits on the processor alone.
        on_epoch: told of every epoch that is trained here.

    Raises:
        DataError: there are too few rows, no mask of the training or the validation masks anything, or the checkpoint
            is none.
        RunError: the checkpoint is of another training.
        CapacityError: the encoder is not installed, or the checkpoint cannot be written.
        TrainingFailure: the loss became NaN.
    """
    chosen = settings or UNetTraining()
    _check(masks, train_rows, validation_rows, chosen)
    form = UNetSettings(width=chosen.width, encoder=chosen.encoder)
    form = form.model_copy(update={"input_px": _input_px(images.shape[1], chosen.input_px, form.multiple_px)})
    task = _Task(images, masks, train_rows, validation_rows, chosen, form.input_px)
    settings_text = chosen.model_dump_json(exclude={"narrow"})  # another machine may go on
    digest = task_digest(settings_text, train_rows, validation_rows, images, masks)
    found = None if checkpoint is None else read_checkpoint(checkpoint, task=digest)
    with torch.random.fork_rng(devices=[]):  # whoever calls keeps his own numbers
        torch.manual_seed(derive_seed(chosen.seed, "unet"))
        network = lesion_network(form, encoder_weights=None if found else chosen.encoder_weights)
    network.to(device=torch.device(device), memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (torch's stub lacks it)
    optimizer = torch.optim.AdamW(network.parameters(), lr=chosen.lr, weight_decay=1e-4)
    epochs = found.progress.epochs if found else _planned_epochs(task, network)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, chosen.lr, total_steps=task.steps * epochs)
    done, best, kept = 0, -1.0, network.state_dict()
    if found is not None:
        restore(found, network, optimizer)
        done, best, kept = found.progress.epoch, found.progress.best, found.kept
        _advance(schedule, done * task.steps)
    for epoch in range(done + 1, epochs + 1):
        loss = _train_epoch(task, network, optimizer, schedule, epoch=epoch)
        reached = _validated(task, network)
        if reached > best:
            best, kept = reached, {name: value.clone() for name, value in network.state_dict().items()}
        if checkpoint is not None:
            progress = Progress(task=digest, epoch=epoch, epochs=epochs, best=best)
            moments = optimizer.state_dict()["state"]
            write_checkpoint(checkpoint, Checkpoint(progress, network.state_dict(), kept, moments))
        on_epoch(UNetEpoch(epoch, loss, reached))
    network.load_state_dict(kept)
    return network.eval()


def _train_epoch(
    task: _Task,
    network: LesionNetwork,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    *,
    epoch: int,
) -> float:
    """Mean loss; order and augmentation follow from the seed and the epoch's number."""
    seed, steps = task.settings.seed, task.steps
    order = numpy_generator(seed, "unet", epoch).permutation(task.train_rows)
    generator = torch.Generator().manual_seed(derive_seed(seed, "augment", epoch))
    network.train()
    total = torch.zeros((), device=_device(network))
    for rows in np.split(order[: steps * task.settings.batch_size], steps):
        loss = _loss(task, network, rows, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.detach()
    mean = float(total) / steps
    if not np.isfinite(mean):
        raise TrainingFailure(f"the U-Net's loss became {mean} in epoch {epoch}")
    return mean


def _loss(task: _Task, network: LesionNetwork, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
    images, masks = (each.to(_device(network)) for each in task.batch(rows))
    pixels, wanted = augmented(images, masks, generator=generator)
    ready = ((pixels - MEAN) / STD).contiguous(memory_format=torch.channels_last)
    with torch.autocast(pixels.device.type, dtype=torch.bfloat16, enabled=task.settings.narrow):
        logits = network(ready)
    return mask_loss(logits.float(), wanted)


def _validated(task: _Task, network: LesionNetwork) -> float:
    """Mean Jaccard on the validation images, at the images' own size, a batch at a time."""
    parts = np.array_split(task.validation_rows, -(-len(task.validation_rows) // 64))
    scores = [
        jaccard(predict_masks(network, _tensor(task.images, rows)), torch.from_numpy(task.masks[rows] > 127))
        for rows in parts
    ]
    return float(np.nanmean(np.concatenate(scores)))


def _planned_epochs(task: _Task, network: LesionNetwork) -> int:
    """As many as fit into the minutes, by the second of two steps of a copy, which leave the network as it is."""
    minutes = task.settings.minutes
    if minutes is None:
        return task.settings.epochs
    trial, begun = copy.deepcopy(network).train(), 0.0
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        begun = _clock(network)
        _loss(task, trial, task.train_rows[: task.settings.batch_size], generator).backward()
    seconds = (_clock(network) - begun) * (task.steps + len(task.validation_rows) / task.settings.batch_size)
    return min(task.settings.epochs, max(1, int(60 * minutes / seconds)))


def _clock(network: LesionNetwork) -> float:
    """Seconds, when all that a GPU was asked for is done."""
    if _device(network).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _device(network: LesionNetwork) -> torch.device:
    return next(network.parameters()).device


def _advance(schedule: torch.optim.lr_scheduler.OneCycleLR, steps: int) -> None:
    """Sets the learning rate to that after so many steps; at the end of the cycle there is none to set."""
    if steps < schedule.total_steps:
        schedule.load_state_dict({"last_epoch": steps - 1, "_step_count": steps})
        schedule.step()


def _check(
    masks: NDArray[np.uint8], train_rows: NDArray[np.int64], validation_rows: NDArray[np.int64], chosen: UNetTraining
) -> None:
    if len(train_rows) < chosen.batch_size or not len(validation_rows):
        raise DataError(
            f"{len(train_rows)} training and {len(validation_rows)} validation images with masks; "
            f"a U-Net needs {chosen.batch_size} and one at least"
        )
    for name, rows in (("training", train_rows), ("validation", validation_rows)):
        if not any((masks[part] > 127).any() for part in np.array_split(rows, -(-len(rows) // 256))):
            raise DataError(f"no {name} mask masks anything; check the masks")


def _input_px(size_px: int, wanted: int | None, multiple: int) -> int:
    """A multiple, one of it at least."""
    return max(multiple, (min(size_px, MOST_PX) if wanted is None else wanted) // multiple * multiple)


def mask_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean of binary cross-entropy and of 1 − Dice of each image, whose probabilities count.

    Args:
        logits: float (N, H, W).
        truth: float (N, H, W), 0 or 1.
    """
    found = logits.sigmoid()
    overlap = (found * truth).sum(dim=(1, 2))
    dice = (2 * overlap + 1) / (found.sum(dim=(1, 2)) + truth.sum(dim=(1, 2)) + 1)
    return 0.5 * functional.binary_cross_entropy_with_logits(logits, truth) + 0.5 * (1 - dice).mean()


def _tensor(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images[rows].transpose(0, 3, 1, 2)))
