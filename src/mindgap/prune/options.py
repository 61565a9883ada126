"""What a pruning is asked to do."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, FiniteFloat, field_validator

from mindgap.prune.schedule import PruningSchedule
from mindgap.train.precision import Precision


class PruneOptions(PruningSchedule):
    """Options of ``mindgap prune``, with those of its schedule.

    Attributes:
        method: importance that ranks channels.
        method_options: its options.
        attributes: whose groups count; None is all of the store.
        layers: whose channels are removed; None is the last convolutional stage.
        attribute_weights: ``learned`` on held-out images (``snnl`` alone), ``equal``, or a number per attribute.
        weight_steps: of learning the weights.
        gap: that has to narrow, the mean over the attributes.
        epochs: of fine-tuning after every removal, at most.
        patience: epochs without a better validation accuracy after which fine-tuning ends.
        lr: peak learning rate of fine-tuning; None is a tenth of the run's.
        batch_size: None is that of the run.
        mitigation: of fine-tuning; None is that of the run.
        control: whether the network is also fine-tuned for as many epochs without removing a channel.
        rows: whether the paper's four rows are made: the run, with blended tones, pruned, and both.
        scoring_batches: of up to 128 images each, or 8 of every group if those are more, by which channels are scored.
        seed: of draws and of fine-tuning.
        bootstrap: replicates of the intervals.
        permutations: of the noise floors.
        precision: of fine-tuning.
        device: ``auto`` takes a GPU if there is one.
    """

    method: str = "snnl"
    method_options: dict[str, Any] = Field(default_factory=dict)
    attributes: tuple[str, ...] | None = None
    layers: tuple[str, ...] | None = None
    attribute_weights: Literal["learned", "equal"] | dict[str, float] | None = None
    weight_steps: int = Field(default=100, ge=1)
    gap: str = "equalized_odds_abs_mean"
    epochs: int = Field(default=5, ge=1)
    patience: int = Field(default=2, ge=1)
    lr: FiniteFloat | None = Field(default=None, gt=0)
    batch_size: int | None = Field(default=None, ge=2)
    mitigation: str | None = None
    control: bool = True
    rows: bool = False
    scoring_batches: int = Field(default=20, ge=1)
    seed: int = 0
    bootstrap: int = Field(default=2000, ge=0)
    permutations: int = Field(default=1000, ge=0)
    precision: Precision = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @field_validator("attribute_weights")
    @classmethod
    def _weights(cls, value: object) -> object:
        if isinstance(value, dict) and not (
            all(0 <= weight < math.inf for weight in value.values()) and 0 < sum(value.values()) < math.inf
        ):
            raise ValueError("weights must be 0 or more, not infinite, and not all 0")
        return value
