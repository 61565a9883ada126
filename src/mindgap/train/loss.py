"""What a loss is: one value per sample, so that mitigations can weight samples and groups."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import Tensor

from mindgap.core.errors import ConfigError
from mindgap.core.registry import Registry

Task = Literal["single-label", "multi-label"]


class AbstractLoss(ABC):
    """One kind of loss; a new one is one file with ``@LOSSES.register("name")``.

    Attributes:
        task: the kind of labels the loss is for.
        label_smoothing: share of the target spread evenly over all classes, 0..1.
    """

    task: ClassVar[Task] = "single-label"

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    @abstractmethod
    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of every sample.

        Args:
            logits: float32 (B, C); (B, L) if multi-label.
            labels: int64 (B,) class numbers; float32 (B, L) of 0 and 1 if multi-label.

        Returns:
            float32 (B,), finite for finite logits, differentiable.
        """


LOSSES: Registry[type[AbstractLoss]] = Registry("losses", package="mindgap.train.losses")

DEFAULT_LOSSES: dict[Task, str] = {"single-label": "ce", "multi-label": "bce"}


def make_loss(name: str | None, *, task: Task, label_smoothing: float = 0.0) -> AbstractLoss:
    """The loss of that name, or the task's own (ce, bce) if the name is None.

    Raises:
        UnknownNameError: no loss has the name.
        ConfigError: the loss is for another kind of labels.
    """
    name = DEFAULT_LOSSES[task] if name is None else name
    loss = LOSSES.get(name)
    if loss.task != task:
        fitting = [other for other in LOSSES.names() if LOSSES.get(other).task == task]
        raise ConfigError(f"loss {name!r} is for {loss.task} data, this store is {task}; use {' or '.join(fitting)}")
    return loss(label_smoothing=label_smoothing)
