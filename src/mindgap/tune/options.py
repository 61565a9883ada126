"""What a tuning of heads is asked to do."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, FiniteFloat, model_validator

from mindgap.core.config import StrictModel
from mindgap.tune.choice import TOLERANCE
from mindgap.tune.eligible import MIN_ROWS
from mindgap.tune.objectives import DEFAULT
from mindgap.tune.subspace import MOST_DIRECTIONS
from mindgap.tune.trained_head import REACH
from mindgap.tune.weighting import Weights

Mode = Literal["multitask", "dynamic", "thresholds"]


class TuneOptions(StrictModel):
    """Options of ``mindgap tune``.

    Attributes:
        mode: ``multitask`` tunes a head per label, ``dynamic`` one head for all, ``thresholds`` a bias per label.
        attribute: whose groups count; None is the run's.
        labels: which are tuned; None is all that have enough rows of every group.
        objectives: two or three metrics, minimised together; ``dynamic`` has accuracy and one gap.
        weights: ``dynamic`` alone: of each head's own figures, or of the trained head's (``base``).
        optimizer: that proposes heads.
        optimizer_options: its options.
        budget: heads judged per label, or in all where one head serves all labels.
        population: heads judged at a time.
        hidden: units of a hidden layer; a head with one is first trained on the features of the training images. None
            tunes the network's last layer.
        subspace: number of random directions around the head in which it is searched; None searches all its numbers,
            or of a hidden head those of its last layer.
        reach: how far from the trained head first points lie; 1 is as far as it is long.
        hold_back: whether a half of the validation rows is kept for the choice.
        tolerance: accuracy that the rule of choice may give up.
        min_rows: positives and negatives that a label needs in every group, on validation and test.
        seed: of everything drawn.
        bootstrap: replicates of the intervals.
        permutations: of the noise floors.
        device: ``auto`` takes a GPU if there is one.
    """

    mode: Mode = "multitask"
    attribute: str | None = None
    labels: tuple[str, ...] | None = None
    objectives: tuple[str, ...] = DEFAULT
    weights: Weights = "own"
    optimizer: str = "mopso"
    optimizer_options: dict[str, Any] = Field(default_factory=dict)
    budget: int = Field(default=5000, ge=1, le=10**9)
    population: int = Field(default=100, ge=2, le=10**5)
    hidden: int | None = Field(default=None, ge=1, le=2**13)
    subspace: int | None = Field(default=None, ge=1, le=MOST_DIRECTIONS)
    reach: FiniteFloat = Field(default=REACH, gt=0, le=1000)
    hold_back: bool = True
    tolerance: FiniteFloat = Field(default=TOLERANCE, ge=0, le=1)
    min_rows: int = Field(default=MIN_ROWS, ge=1)
    seed: int = 0
    bootstrap: int = Field(default=2000, ge=0)
    permutations: int = Field(default=1000, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _fits(self) -> TuneOptions:
        if self.budget < self.population:
            raise ValueError(
                f"budget={self.budget} is less than population={self.population}, the heads judged at a time; give at "
                "least as much"
            )
        if self.mode == "thresholds" and self.subspace is not None:
            raise ValueError(f"subspace={self.subspace}: mode=thresholds moves biases alone; leave --subspace out")
        return self
