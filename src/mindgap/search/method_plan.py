"""The plan of a comparison of methods: everything a run's result depends on besides its slot and its tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationError

from mindgap.core.config import StrictModel
from mindgap.core.errors import RunError
from mindgap.core.seed import derive_seed
from mindgap.space.architecture import Architecture
from mindgap.train.precision import PrecisionPlan
from mindgap.train.schedule import SCHEDULES
from mindgap.train.settings import TrainSettings
from mindgap.train.tuning_range import OneOf, Range, TunedValue

METHODS = "methods"  # note of the ledger: the plan
TunerName = Literal["random", "tpe"]
STEPS = 1000  # a quantile is a whole number of thousandths: nobody can tell finer ones apart
LR_BELOW, LR_ABOVE = 8.0, 4.0  # the learning rates tried, as shares of the schedule's own


@dataclass(frozen=True)
class MethodRun:
    """What one slot trains, as its tokens say.

    Tokens are the numbers of method, trial and seed, then the quantiles, in thousandths, of the learning rate and of
    the method's own options; defaults have none. A tuning run has seed -1; trial -1 says that nothing could be chosen.

    Attributes:
        method: number of the method.
        trial: number of the tuning run, or of the one whose options were chosen; -1 if none could be.
        seed: number of the seed; -1 of a tuning run.
        quantiles: 0..1000 each.
    """

    method: int
    trial: int
    seed: int
    quantiles: tuple[int, ...] = ()

    @property
    def tokens(self) -> tuple[int, ...]:
        """As the ledger keeps it."""
        return (self.method, self.trial, self.seed, *self.quantiles)

    @classmethod
    def of(cls, tokens: tuple[int, ...]) -> MethodRun:
        """The reverse of ``tokens``."""
        method, trial, seed, *quantiles = tokens
        return cls(method, trial, seed, tuple(quantiles))


class MethodPlan(StrictModel):
    """What workers read from the ledger; it is written once, before slot 0, and never changes.

    Slots 0 to M·T − 1 are tuning runs, trial by trial, then come M·K runs, seed by seed.

    Attributes:
        store: folder of the images.
        fingerprint: of the store.
        attribute: whose groups methods and selection use.
        seed: of everything.
        methods: their names, the baseline first.
        tuned: of each method, the ranges of its own options.
        trials: T, tuning runs of each method.
        seeds: K, runs of each method with the chosen options.
        tuner: how options are drawn.
        select: name of the rule that chooses them.
        architecture: the network.
        training: how it is trained; mitigation, its options, learning rate and seed are the run's.
        min_group: fewest validation images of a group that counts in the selection.
        excluded_groups: the groups that do not.
        precision_plan: measured once, so that load cannot decide.
    """

    store: str
    fingerprint: str
    attribute: str
    seed: int
    methods: tuple[str, ...]
    tuned: dict[str, dict[str, Range | OneOf]]
    trials: int = Field(ge=0)
    seeds: int = Field(ge=1)
    tuner: TunerName
    select: str
    architecture: Architecture
    training: TrainSettings
    min_group: int
    excluded_groups: tuple[str, ...]
    precision_plan: PrecisionPlan

    @property
    def tuning_slots(self) -> int:
        """M·T."""
        return len(self.methods) * self.trials

    @property
    def slots(self) -> int:
        """M·(T + K)."""
        return len(self.methods) * (self.trials + self.seeds)

    @property
    def lr_range(self) -> Range:
        """The learning rates that are tried, around the schedule's own, which is trial 0."""
        own = SCHEDULES[self.training.schedule].lr
        return Range(own / LR_BELOW, own * LR_ABOVE)

    def run_seed(self, run: MethodRun) -> int:
        """The seed of a run: the same for all methods, so that runs are pairs; no seed is tuned on and judged."""
        return derive_seed(self.seed, "tuning") if run.seed < 0 else self.seed + run.seed

    def tuned_values(self, run: MethodRun) -> tuple[float | None, dict[str, TunedValue]]:
        """Learning rate, None for the schedule's own, and options of a run; both are the defaults without quantiles."""
        if not run.quantiles:
            return None, {}
        first, *own = (number / STEPS for number in run.quantiles)
        ranges = self.tuned[self.methods[run.method]]
        values = {name: of.value(at) for (name, of), at in zip(ranges.items(), own, strict=True)}
        return float(self.lr_range.value(first)), values

    def settings(self, run: MethodRun) -> TrainSettings:
        """How a run is trained."""
        lr, options = self.tuned_values(run)
        own = {"mitigation": self.methods[run.method], "mitigation_options": options, "seed": self.run_seed(run)}
        return self.training.model_copy(update=own | ({} if lr is None else {"lr": lr}))


def read_method_plan(notes: Mapping[str, Any]) -> MethodPlan:
    """The plan among the notes of a ledger.

    Raises:
        RunError: it is of another version of mindgap.
    """
    try:
        return MethodPlan.model_validate(notes[METHODS])
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise RunError(
            f"the comparison's plan does not fit this version of mindgap (at {place}); go on with the version that "
            "began it"
        ) from None


def quantile(draw: float) -> int:
    """A number in 0..1 as a quantile in thousandths."""
    return min(STEPS, math.floor(draw * (STEPS + 1)))
