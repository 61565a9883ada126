"""Multi-fidelity: every candidate is trained a little, the best are trained on, rung by rung.

Which ones is a pure function of the ledger. Slots go by brackets of B; a bracket's candidates are compared with each
other and with those of the brackets before it, never with later ones, so the decisions do not depend on the number or
the speed of the workers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from mindgap.core.config import StrictModel
from mindgap.core.seed import numpy_generator
from mindgap.metrics.pareto import non_dominated_rank
from mindgap.search.slot import Fate, Slot
from mindgap.train.decay import default_decay_epochs

Objective = Literal["accuracy", "unfairness", "macs"]
POOL_BRACKETS = 16  # a bracket is compared with so many before it: enough to rank by, and growth stays linear
_LARGER_IS_BETTER: dict[Objective, bool] = {"accuracy": True, "unfairness": False, "macs": False}


class Promotion(StrictModel):
    """How candidates are chosen to be trained on.

    Attributes:
        factor: one candidate of so many is trained on, and every rung is so many times as long as the one before.
        bracket: slots that are decided together; None is the searcher's batch.
        objectives: what the non-dominated rank is taken of; a tie goes to the higher reward, then to the earlier slot.
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


@dataclass
class Decider:
    """Gives slots their fate; remembers what is decided, which never changes.

    Attributes:
        plan: the rungs.
    """

    plan: RungPlan
    _promoted: dict[tuple[int, int, int], frozenset[int]] = field(default_factory=dict)

    def __call__(self, slots: Sequence[Slot], closings: Sequence[int] = ()) -> list[Slot]:
        """The slots with their fate.

        Args:
            slots: all slots from 0, in order.
            closings: numbers of slots at which a bracket ends before it is full.
        """
        if self.plan.top == 0:
            return list(slots)
        if self.plan.promotion.asynchronous:
            reached, final = self._on_arrival(slots, closings)
            fate_of = self._fate_on_arrival
        else:
            reached, final = self._by_bracket(slots, closings)
            fate_of = self._fate
        return [replace(slot, fate=fate_of(slot, reached[i], final=final[i])) for i, slot in enumerate(slots)]

    def _fate(self, slot: Slot, reached: int, *, final: bool) -> Fate:
        top, final = self.plan.top, final or reached == self.plan.top
        goes_on = final and reached < top and self.plan.is_control(slot.number)
        return Fate(aim=top if goes_on else reached, stop=reached, top=top, final=final, told=final)

    def _fate_on_arrival(self, slot: Slot, reached: int, *, final: bool) -> Fate:
        """The searcher hears at once of what is there, or it would wait for what depends on slots to come."""
        top, known = self.plan.top, max(slot.judged, default=0)
        return Fate(aim=reached, stop=min(reached, known), top=top, final=final or top in slot.judged)

    def _by_bracket(self, slots: Sequence[Slot], closings: Sequence[int]) -> tuple[list[int], list[bool]]:
        reached, final = [0] * len(slots), [False] * len(slots)
        known = [(start, end) for start, end, closed in brackets(len(slots), self.plan.bracket, closings) if closed]
        for rung in range(self.plan.top):
            pool: list[list[int]] = []
            for number, (start, end) in enumerate(known):
                members = [i for i in range(start, end) if reached[i] == rung and not final[i]]
                if not all(rung in slots[i].judged or slots[i].is_dead for i in members):
                    known = known[:number]
                    break
                here = [i for i in members if rung in slots[i].judged]
                pool = [*pool[1 - POOL_BRACKETS :], here]
                promoted = self._best(slots, rung, start, pool)
                for i in members:
                    reached[i] += i in promoted
                    final[i] = i not in promoted
        return reached, final

    def _best(self, slots: Sequence[Slot], rung: int, start: int, pool: Sequence[Sequence[int]]) -> frozenset[int]:
        """Those of the last list of the pool that are among the best of it all; at most their share of that list."""
        here = pool[-1]
        key = (rung, start, here[-1] if here else -1)
        if key not in self._promoted:
            factor = self.plan.promotion.factor
            order = self._order(slots, rung, [i for members in pool for i in members])
            best = order[: math.ceil(len(order) / factor)]
            own = set(here)
            self._promoted[key] = frozenset([i for i in best if i in own][: math.ceil(len(here) / factor)])
        return self._promoted[key]

    def _order(self, slots: Sequence[Slot], rung: int, members: Sequence[int]) -> list[int]:
        """Best first: by non-dominated rank, then reward, then slot."""
        if not members:
            return []
        objectives = self.plan.promotion.objectives
        results = [slots[i].judged[rung] for i in members]
        points = np.array([[float(result[name]) for name in objectives] for result in results])
        ranks = non_dominated_rank(points, [_LARGER_IS_BETTER[name] for name in objectives])
        keyed = zip(ranks.tolist(), (-float(result["reward"]) for result in results), members, strict=True)
        return [i for _, _, i in sorted(keyed)]

    def _on_arrival(self, slots: Sequence[Slot], closings: Sequence[int]) -> tuple[list[int], list[bool]]:
        closed = max(closings, default=0)
        begun = [max(attempt.rung for attempt in slot.attempts) for slot in slots]
        reached, final = [0] * len(slots), [i < closed for i in range(len(slots))]
        for rung in range(self.plan.top):
            pool = [i for i, slot in enumerate(slots) if rung in slot.judged]
            pool = pool[-POOL_BRACKETS * self.plan.bracket :]
            order = self._order(slots, rung, pool)
            best = set(order[: len(order) // self.plan.promotion.factor])
            for i in range(len(slots)):
                waits = i in best and not final[i] and reached[i] == rung
                reached[i] += waits or (begun[i] > rung and reached[i] == rung)
        return reached, final


def brackets(slots: int, size: int, closings: Sequence[int]) -> Iterator[tuple[int, int, bool]]:
    """First slot and end of each bracket, and whether no more slots can come into it.

    Example:
        >>> list(brackets(21, 8, [12]))
        [(0, 8, True), (8, 12, True), (12, 20, True), (20, 21, False)]
    """
    start = 0
    while start < slots:
        end = min([start + size, *(closing for closing in closings if closing > start)])
        yield start, min(end, slots), end <= slots
        start = end
