"""Training of the lesion U-Net."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
from mindgap.tone.unet import MEAN, STD, UNet, UNetSettings, predict_masks


class UNetTraining(StrictModel):
    """How it is trained.

    Attributes:
        width: channels of the first level.
        epochs: passes over the training images.
        batch_size: images per step.
        lr: peak learning rate; it rises and falls once (one cycle).
        narrow: computes in bf16 where it may, which is several times as fast with AMX.
        seed: of weights, batches and augmentation.
    """

    width: int = Field(default=16, ge=1)
    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=32, ge=2)
    lr: float = Field(default=3e-3, gt=0)
    narrow: bool = False
    seed: int = 0


@dataclass(frozen=True)
class UNetEpoch:
    """One epoch, from 1: mean loss, and mean Jaccard on the validation images."""

    epoch: int
    loss: float
    jaccard: float


def train_unet(
    images: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    *,
    train_rows: NDArray[np.int64],
    validation_rows: NDArray[np.int64],
    settings: UNetTraining | None = None,
    on_epoch: Callable[[UNetEpoch], None] = lambda _: None,
) -> UNet:
    """Trains a U-Net, and gives back its epoch of highest Jaccard on the validation images.

    The loss is the mean of binary cross-entropy and 1 − Dice. Rows have to be disjoint by patient or lesion, which is
    the caller's to see to.

    Args:
        images: uint8 (N, S, S, 3), such as a store's map.
        masks: uint8 (N, S, S), 0 or 255.
        train_rows: int64.
        validation_rows: int64.
        settings: how.
        on_epoch: told of every epoch.

    Raises:
        DataError: there are too few rows, or no training mask masks anything.
        TrainingFailure: the loss became NaN.
    """
    chosen = settings or UNetTraining()
    if len(train_rows) < chosen.batch_size or not len(validation_rows):
        raise DataError(
            f"{len(train_rows)} training and {len(validation_rows)} validation images with masks; "
            f"a U-Net needs {chosen.batch_size} and one at least"
        )
    if not masks[train_rows].any():
        raise DataError("no training mask masks anything; check the masks")
    with torch.random.fork_rng(devices=[]):  # whoever calls keeps his own numbers
        torch.manual_seed(derive_seed(chosen.seed, "unet"))
        network = UNet(UNetSettings(width=chosen.width, input_px=images.shape[1]))
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (torch's stub lacks it)
    steps = len(train_rows) // chosen.batch_size
    optimizer = torch.optim.AdamW(network.parameters(), lr=chosen.lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, chosen.lr, total_steps=steps * chosen.epochs)
    truth = torch.from_numpy(masks[validation_rows] > 127)
    held_out = _tensor(images, validation_rows)
    best, kept = -1.0, network.state_dict()
    for epoch in range(1, chosen.epochs + 1):
        order = numpy_generator(chosen.seed, "unet", epoch).permutation(train_rows)
        generator = torch.Generator().manual_seed(derive_seed(chosen.seed, "augment", epoch))
        network.train()
        total = torch.zeros(())
        for rows in np.split(order[: steps * chosen.batch_size], steps):
            pixels, wanted = augmented(_tensor(images, rows), torch.from_numpy(masks[rows] > 127), generator=generator)
            ready = ((pixels - MEAN) / STD).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=chosen.narrow):
                logits = network(ready)
            loss = mask_loss(logits.float(), wanted)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.detach()
        mean = float(total) / steps
        if not np.isfinite(mean):
            raise TrainingFailure(f"the U-Net's loss became {mean} in epoch {epoch}; lower the learning rate")
        reached = float(np.nanmean(np.append(jaccard(predict_masks(network, held_out), truth), np.nan)))
        on_epoch(UNetEpoch(epoch, mean, reached))
        if reached > best:
            best, kept = reached, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)
    return network.eval()


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
