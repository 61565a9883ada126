"""Multi-fidelity: every candidate is trained a little, the best are trained on, rung by rung."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from mindgap.core.config import StrictModel
from mindgap.core.seed import numpy_generator
from mindgap.train.decay import default_decay_epochs

Objective = Literal["accuracy", "unfairness", "macs"]


class Promotion(StrictModel):
    """How candidates are chosen to be trained on.

    Attributes:
        factor: one candidate of so many is trained on, and every rung is so many times as long as the one before.
        bracket: slots that are decided together; None is the searcher's batch.
        objectives: what the non-dominated rank is taken of, multiply-accumulates in steps of half a doubling; ties go
            to the higher reward, then to the earlier slot.
        control_share: share of the candidates not trained on that are, all the same, trained to the end, so that one
            can see what the rungs would have missed. Their later results are not told to the searcher.
        asynchronous: a candidate goes on as soon as it is among the best so far; no bracket is waited for, and the
            decisions depend on the order of arrival, so that a search cannot be reproduced; it has no control group.
    """

    factor: int = Field(default=4, ge=2)
    bracket: int | None = Field(default=None, ge=2)
    objectives: tuple[Objective, ...] = Field(default=("accuracy", "unfairness", "macs"), min_length=1)
    control_share: float = Field(default=0.05, ge=0, le=1)
    asynchronous: bool = False


class RungPlan(StrictModel):
    """The rungs of a search.

    Attributes:
        epochs: of the rungs, rising. All but the last are epochs before the learning rate decays, in a copy that is
            judged; the last is the whole training, its decay included.
        seed: of the control group.
        bracket: slots that are decided together.
        promotion: how; its bracket is not looked at.
    """

    epochs: tuple[int, ...] = Field(min_length=1)
    seed: int = 0
    bracket: int = Field(default=8, ge=1)
    promotion: Promotion = Promotion()

    @model_validator(mode="after")
    def _rising(self) -> RungPlan:
        if any(later <= earlier for earlier, later in zip(self.epochs, self.epochs[1:], strict=False)):
            raise ValueError(f"rungs must rise, got {', '.join(map(str, self.epochs))}")
        plateau = self.epochs[-1] - default_decay_epochs(self.epochs[-1])
        if len(self.epochs) > 1 and self.epochs[-2] > plateau:
            raise ValueError(
                f"the learning rate of {self.epochs[-1]} epochs decays from {plateau} on; lower the others"
            )
        return self

    @property
    def top(self) -> int:
        """Number of the last rung, from 0."""
        return len(self.epochs) - 1

    def training(self, rung: int) -> dict[str, Any]:
        """What of the training settings a rung decides."""
        if self.top == 0:
            return {"epochs": self.epochs[0]}
        epochs = self.epochs[rung]
        decay = default_decay_epochs(epochs)
        return {"epochs": epochs if rung == self.top else epochs + decay, "decay_epochs": decay}

    def plateau(self, rung: int) -> int:
        """Epochs of a rung below the top before the learning rate decays, from where a longer rung goes on."""
        return self.epochs[rung]

    def is_control(self, slot: int) -> bool:
        """Whether a slot, should it not be promoted, is trained to the end all the same."""
        return bool(numpy_generator(self.seed, "control", slot).random() < self.promotion.control_share)


def default_rungs(epochs: int, factor: int = 4) -> tuple[int, ...]:
    """Rungs up to so many epochs: a quarter, a sixteenth, … of them, while a judged copy costs half the next at most.

    Example:
        >>> default_rungs(64), default_rungs(20), default_rungs(8), default_rungs(3)
        ((1, 4, 16, 64), (1, 5, 20), (2, 8), (3,))
    """
    rungs = [epochs]
    while True:
        lower = round(epochs / factor ** len(rungs))
        if lower < 1 or 2 * (lower + default_decay_epochs(lower)) > rungs[0]:
            return tuple(rungs)
        rungs.insert(0, lower)
