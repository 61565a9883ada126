"""What a training run is asked to do."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from mindgap.core.config import StrictModel
from mindgap.data.augment import AugmentSettings
from mindgap.tone.blend import BlendSettings
from mindgap.train.decay import default_decay_epochs
from mindgap.train.precision import Precision
from mindgap.train.schedule import ScheduleName


class TrainSettings(StrictModel):
    """Options of one training run.

    Attributes:
        epochs: passes over the training rows.
        batch_size: images per batch.
        schedule: ``onecycle`` (AdamW, warm-up, cosine to 0), ``trapezoid`` (AdamW, warm-up, constant, decay to 0, so
            that a longer run can go on from a shorter one) or ``paper`` (SGD, momentum .9, ×.9 every 20 epochs).
        decay_epochs: of ``trapezoid``, how many of the epochs, at their end; None is a fifth.
        lr: peak learning rate; None is the schedule's own.
        weight_decay: None is the schedule's own.
        loss: name of the loss; None is ``ce``, or ``bce`` for multi-label data.
        label_smoothing: share of the target spread over all classes.
        mitigation: name of the mitigation.
        mitigation_options: its options.
        ratios: ``natural``, ``uniform``, ``female=.6,male=.4``, or a share per group name.
        blend: which images are replaced by their twins of another tone; true is with the usual numbers, None none. The
            store needs twins, which ``mindgap tone`` makes.
        augment: how images are changed; None is the default for the store's kind of images (upright or not).
        freeze: how many of the network's first parts, the stem and then its blocks, are not trained: their weights and
            the statistics of their batch norms stay as they are.
        precision: ``auto`` times every part of the network and takes the fastest mode, unless a plan is given.
        device: ``auto`` takes a GPU if there is one.
        seed: of batches, augmentation and dropout; not of the weights.
    """

    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=64, ge=2)
    schedule: ScheduleName = "onecycle"
    decay_epochs: int | None = Field(default=None, ge=1)
    lr: float | None = Field(default=None, gt=0)
    weight_decay: float | None = Field(default=None, ge=0)
    loss: str | None = None
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    mitigation: str = "erm"
    mitigation_options: dict[str, Any] = Field(default_factory=dict)
    ratios: str | dict[str, float] = "natural"
    blend: BlendSettings | None = None
    augment: AugmentSettings | None = None
    freeze: int = Field(default=0, ge=0)
    precision: Precision = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = 0

    @field_validator("blend", mode="before")
    @classmethod
    def _usual(cls, value: object) -> object:
        return {True: {}, False: None}[value] if isinstance(value, bool) else value

    @property
    def stable_epochs(self) -> int:
        """Epochs before ``trapezoid`` begins to decay; all of them with another schedule."""
        if self.schedule != "trapezoid":
            return self.epochs
        return max(0, self.epochs - (self.decay_epochs or default_decay_epochs(self.epochs)))

    @classmethod
    def paper(cls, **changes: Any) -> TrainSettings:
        """BiaslessNAS's own training: 500 epochs of SGD in batches of 32."""
        return cls(**{"epochs": 500, "batch_size": 32, "schedule": "paper"} | changes)
