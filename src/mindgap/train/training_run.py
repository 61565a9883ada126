"""The training loop: it knows hooks, never the names of mitigations; inside an epoch it never waits for the device."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import TrainingFailure
from mindgap.core.groups import Groups
from mindgap.core.seed import derive_seed
from mindgap.data.augment import Augment, AugmentSettings, draw
from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture
from mindgap.space.network import Network
from mindgap.train.batch_ratios import batch_plan
from mindgap.train.blending import Blending
from mindgap.train.device import choose_device, image_tensor
from mindgap.train.evaluate import predict_probabilities
from mindgap.train.freezing import freeze, train_unfrozen
from mindgap.train.loss import make_loss
from mindgap.train.memory import channels_last
from mindgap.train.mitigation import AttributeFacts, Batch, LabelledRows, TrainingData, TrainingFacts, make_mitigation
from mindgap.train.modes import Mode, in_modes, is_narrow
from mindgap.train.run_keys import run_keys
from mindgap.train.schedule import SCHEDULES, Length, set_lr
from mindgap.train.settings import TrainSettings

_DIVERGED = 10.0


@dataclass(frozen=True)
class EpochRecord:
    """One epoch's figures, over its augmented training batches.

    Attributes:
        epoch: number of the epoch, from 1.
        epochs: how many there will be.
        loss: mean loss of the samples.
        objective: mean of what was minimised.
        accuracy: share of samples (multi-label: of labels) predicted rightly, in 0..1.
        lr: learning rate of the last step.
        images: images passed through the network.
        seconds: time of the epoch.
        extra: what blending says, and what ``on_epoch`` returned.
    """

    epoch: int
    epochs: int
    loss: float
    objective: float
    accuracy: float
    lr: float
    images: int
    seconds: float
    extra: dict[str, float | None] = field(default_factory=dict)


OnEpoch = Callable[[EpochRecord, "TrainingRun"], Mapping[str, float | None] | None]


class TrainingRun:
    """One run's objects, what an epoch does with them, and what is saved of them."""

    def __init__(
        self,
        network: Network,
        store: Store,
        *,
        train_rows: NDArray[np.int64],
        groups: Groups,
        settings: TrainSettings,
        architecture: Architecture,
        more_groups: Sequence[Groups] = (),
        may_look: bool = True,
    ) -> None:
        self.settings, self.architecture, self.store, self.may_look = settings, architecture, store, may_look
        self.keys = run_keys(
            store, train_rows, groups=(groups, *more_groups), settings=settings, architecture=architecture
        )
        self.device = choose_device(settings.device)
        self.all_groups, self.groups, self.task = groups, groups.take(train_rows), store.task
        more = [other.take(train_rows) for other in more_groups]
        self.images = image_tensor(store, self.device)
        self.rows = torch.from_numpy(train_rows).to(self.images.device)
        labels = torch.from_numpy(store.labels[train_rows])
        self.labels = (labels if labels.ndim == 1 else labels.float()).to(self.device)
        self.group_ids, *self.more_ids = (torch.from_numpy(of.ids).to(self.device) for of in (self.groups, *more))
        self.loss = make_loss(settings.loss, task=store.task, label_smoothing=settings.label_smoothing)
        facts = TrainingFacts(
            group_names=groups.names,
            group_counts=self.groups.counts(),
            num_classes=len(store.classes),
            loss=self.loss,
            seed=settings.seed,
            more_attributes=tuple(AttributeFacts(of.attribute, of.names, of.counts()) for of in more),
            attribute=groups.attribute,
        )
        self.mitigation = make_mitigation(settings.mitigation, facts, settings.mitigation_options)
        self.plan = batch_plan(self.groups, self.mitigation, settings)
        self.blending = None
        if settings.blend is not None:
            seed = derive_seed(settings.seed, "blend")
            self.blending = Blending(store, train_rows, settings=settings.blend, seed=seed, may_look=may_look)
        self.network = channels_last(self.mitigation.adapt(network).to(self.device))
        self.frozen = freeze(self.network, settings.freeze)
        self.schedule = SCHEDULES[settings.schedule]
        weight_decay = self.schedule.weight_decay if settings.weight_decay is None else settings.weight_decay
        self.lr = settings.lr or self.schedule.lr
        self.optimizer = self.schedule.optimizer(self.network, self.lr, weight_decay)
        self.augment = Augment(settings.augment or AugmentSettings.for_images(upright=store.info.upright))
        self.mean, self.std = (
            torch.tensor(values, device=self.device) for values in (architecture.mean, architecture.std)
        )
        decay = settings.epochs - settings.stable_epochs
        self.length = Length(self.steps * settings.epochs, per_epoch=self.steps, decay=self.steps * decay)
        self.generator = torch.Generator()
        self.modes: tuple[Mode, ...] = ()
        self.history, self.inherited = list[EpochRecord](), 0  # epochs, and how many of them a shorter run trained

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return self.plan.steps_per_epoch

    def train_epoch(self, epoch: int, on_epoch: OnEpoch | None) -> None:
        """Trains one epoch and adds its record."""
        begin = time.perf_counter()
        train_unfrozen(self.network, self.frozen)
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), in_modes(self.network, self.modes):
            # Both streams start anew with every epoch: a resumed run draws the same numbers.
            torch.manual_seed(derive_seed(self.settings.seed, "dropout", epoch))
            self.generator.manual_seed(derive_seed(self.settings.seed, "augment", epoch))
            totals = torch.zeros(3, device=self.device)
            for step, batch in enumerate(zip(*self._epoch(epoch), strict=True), start=epoch * self.steps):
                totals += self._step(*batch, epoch=epoch, step=step)
        record = self._record(epoch, totals, seconds=time.perf_counter() - begin)
        try:
            _check(record, self.network, num_classes=self.architecture.num_classes)
        except TrainingFailure as failure:
            failure.history = (*self.history, record)
            raise
        if epoch + 1 == self.settings.epochs:
            self._finish()
        if self.blending is not None:
            is_last = epoch + 1 == self.settings.epochs
            record = replace(record, extra=self.blending.end_epoch(epoch + 1, self._validate, is_last=is_last))
        extra = on_epoch(record, self) if on_epoch is not None else None
        self.history.append(replace(record, extra={**record.extra, **(extra or {})}))

    def _epoch(self, epoch: int) -> tuple[Tensor, Tensor, Tensor]:
        """What decides an epoch's batches, sent at once to where it is used.

        Returns:
            Positions int64 (steps, B) into the training rows, these rows int64 (steps, B) of the store, on the images'
            device, and the augmentation's draws (steps, B, …).
        """
        positions = torch.from_numpy(self.plan.epoch(epoch))
        draws = draw(positions.numel(), generator=self.generator).view(*positions.shape, -1)
        rows = self.rows[positions.to(self.rows.device)]
        if self.blending is not None:
            rows = self.blending.with_twins(epoch, positions, rows)
        return positions.to(self.device), rows, draws.to(self.device)

    def _validate(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Probabilities of images as the network is now, float64 (n, C)."""
        return predict_probabilities(
            self.network,
            self.images,
            rows,
            architecture=self.architecture,
            task=self.task,
            modes=self.modes or None,
            mitigation=self.mitigation,
            groups=self.all_groups,
        )

    def _step(self, positions: Tensor, rows: Tensor, draws: Tensor, *, epoch: int, step: int) -> Tensor:
        """One step; float32 (3,) of mean loss, objective and accuracy, not waited for."""
        set_lr(self.optimizer, self.lr * self.schedule.rate(step, self.length))
        images, groups = self.batch_images(rows, draws), self.group_ids[positions]
        features, logits = self.mitigation.forward(self.network, images, groups)
        logits = logits.float()
        batch = Batch(
            images=images,
            labels=self.labels[positions],
            groups=groups,
            positions=positions,
            logits=logits,
            step=step,
            epoch=epoch,
            more_groups=tuple(ids[positions] for ids in self.more_ids),
        )
        losses = self.loss(logits, batch.labels)
        objective = self.mitigation.objective(losses, batch, features)
        self.optimizer.zero_grad(set_to_none=True)
        objective.backward()
        self.mitigation.after_backward(self.network, batch)
        self.optimizer.step()
        self.mitigation.extra_step(batch)
        with torch.no_grad():
            return torch.stack([losses.mean(), objective.detach(), _accuracy(logits, batch.labels)])

    def batch_images(self, rows: Tensor, draws: Tensor) -> Tensor:
        """Augmented, normalised images (B, 3, H, W) of one batch.

        Args:
            rows: int64 (B,), rows of the store, on the images' device; from N on those of the twins.
            draws: float32 (B, …), what the augmentation is decided by.
        """
        take = Tensor.index_select if self.blending is None else self.blending.take
        chosen = take(self.images, 0, rows)
        if chosen.device.type != self.device.type:  # "cuda" is not equal to "cuda:0"
            chosen = chosen.pin_memory().to(self.device, non_blocking=True)
        narrow = bool(self.modes) and is_narrow(self.modes[0])
        dtype = torch.bfloat16 if narrow else torch.float32
        return self.augment.apply(chosen, draws, mean=self.mean, std=self.std, dtype=dtype)

    def _record(self, epoch: int, totals: Tensor, *, seconds: float) -> EpochRecord:
        loss, objective, accuracy = (totals / self.steps).tolist()
        return EpochRecord(
            epoch=epoch + 1,
            epochs=self.settings.epochs,
            loss=loss,
            objective=objective,
            accuracy=accuracy,
            lr=self.optimizer.param_groups[0]["lr"],
            images=self.steps * self.settings.batch_size,
            seconds=seconds,
        )

    def _finish(self) -> None:
        validation = None
        if self.may_look and len(held_out := self.store.rows("validation")):
            labels = torch.from_numpy(self.store.labels[held_out]).to(self.labels)
            rows = torch.from_numpy(held_out).to(self.rows)
            validation = LabelledRows(rows, labels, self.all_groups.take(held_out))
        train = LabelledRows(self.rows, self.labels, self.groups)
        mean, std = self.architecture.mean, self.architecture.std
        self.mitigation.finish(self.network, TrainingData(self.images, train, validation, mean, std))

    def state_dict(self, *, key: str) -> dict[str, Any]:
        """What a resumed run needs, and whose it is."""
        return {
            "run": key,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "mitigation": self.mitigation.state_dict(),
            "batches": self.plan.state_dict(),
            "generator": self.generator.get_state(),
            "blending": None if self.blending is None else self.blending.adaptive.state(),
            "modes": list(self.modes),
            "history": [asdict(record) for record in self.history],
            "inherited": self.inherited,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes back what ``state_dict`` gave."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.mitigation.load_state_dict(state["mitigation"])
        self.plan.load_state_dict(state["batches"])
        self.generator.set_state(state["generator"])
        if self.blending is not None:
            self.blending.adaptive.restore(state["blending"])
        self.modes, self.inherited = tuple(state["modes"]), state.get("inherited", 0)
        self.history = [EpochRecord(**record | {"epochs": self.settings.epochs}) for record in state["history"]]


def _accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    right = logits.argmax(dim=1) == labels if labels.ndim == 1 else (logits > 0) == (labels > 0)
    return right.float().mean()


def _check(record: EpochRecord, network: Network, *, num_classes: int) -> None:
    where = f"in epoch {record.epoch} of {record.epochs}"
    for name, value in (("loss", record.loss), ("objective", record.objective)):
        if not math.isfinite(value):
            raise TrainingFailure(f"{name} became {value} {where}; lower the learning rate")
    guess = math.log(max(2, num_classes))
    if record.loss > _DIVERGED * guess:
        raise TrainingFailure(
            f"loss diverged {where}: {record.loss:.3g}, guessing costs {guess:.3g}; lower the learning rate"
        )
    if not all_finite([*network.parameters(), *network.buffers()]):
        raise TrainingFailure(f"a weight became NaN or infinite {where}; lower the learning rate")


def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether no tensor holds NaN or infinity; waits for the device once."""
    sums = [tensor.detach().float().abs().sum() for tensor in tensors if tensor.is_floating_point()]
    return not sums or bool(torch.isfinite(torch.stack(sums)).all())
