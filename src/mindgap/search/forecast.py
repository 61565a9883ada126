"""How long what is left of a search will take: for its status, and for a deadline."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from mindgap.search.agenda import rung_due
from mindgap.search.cost_model import Finished, level
from mindgap.search.plan import SearchPlan
from mindgap.search.slot import Slot
from mindgap.space.architecture import Architecture
from mindgap.space.search_space import SearchSpace

LATE = 0.1  # share of its time by which a candidate may be predicted to end after the deadline


class Forecast:
    """Predicts seconds of work from the plan's cost model and from what was trained so far.

    Args:
        plan: of the search.
        space: tells the networks of candidates without a result; without it they count as the mean of the others.
    """

    def __init__(self, plan: SearchPlan, space: SearchSpace | None = None) -> None:
        self.plan, self.space = plan, space
        self._seconds: dict[tuple[int, ...], float] = {}

    def rung_epochs(self, rung: int) -> int:
        """Epochs that an attempt at a rung trains, beyond the rung below."""
        return int(self.plan.rungs.training(rung)["epochs"]) - self._start(rung)

    def epochs_beyond(self, rung: int) -> float:
        """Expected epochs after a rung of a candidate of which it is not known whether it is promoted."""
        promotion, top = self.plan.rungs.promotion, self.plan.rungs.top
        control = 0.0 if promotion.asynchronous else promotion.control_share
        promoted = [promotion.factor ** -(later - rung) for later in range(rung + 1, top + 1)]
        shares = [share + control * (1 - share) for share in promoted]
        return sum(share * self.rung_epochs(rung + step) for step, share in enumerate(shares, start=1))

    @property
    def candidate_epochs(self) -> float:
        """Expected epochs of a new candidate."""
        return self.rung_epochs(0) + self.epochs_beyond(0)

    def left_epochs(self, slot: Slot) -> float:
        """Expected epochs that a candidate still trains."""
        if slot.settled:
            return 0.0
        if slot.state == "waiting":
            return self.epochs_beyond(slot.rung)
        rung = slot.rung if slot.state == "running" else rung_due(slot)
        begun = max([attempt.epoch for attempt in slot.attempts if attempt.rung == rung], default=0)
        own = self._start(rung) + self.rung_epochs(rung) - max(begun, self._start(rung))
        if slot.is_control:
            return own + sum(self.rung_epochs(later) for later in range(rung + 1, self.plan.rungs.top + 1))
        return own + self.epochs_beyond(rung)

    def left_seconds(self, slots: Sequence[Slot], *, new: int = 0) -> float | None:
        """Expected seconds of one worker for all that is begun, and so many new candidates; None if nothing is known.

        Candidates whose network is not known, new ones among them, count as the mean of the others.
        """
        known = {slot.number: seconds for slot in slots if (seconds := self._epoch_seconds(slot)) is not None}
        if not known:
            return None
        mean = statistics.fmean(known.values())
        begun = sum(self.left_epochs(slot) * known.get(slot.number, mean) for slot in slots)
        return self.level(slots) * (begun + new * self.candidate_epochs * mean)

    def level(self, slots: Sequence[Slot]) -> float:
        """How much longer than predicted candidates take here."""
        finished = [
            Finished(
                Architecture.model_validate(attempt.result["architecture"]),
                image_passes=attempt.result["image_passes"],
                seconds=max(attempt.result["seconds"], attempt.seconds or 0.0),
            )
            for slot in slots
            for attempt in slot.attempts
            if attempt.result is not None and attempt.result["state"] == "complete"
        ]
        return level(self.plan.cost, finished)

    def fits(self, tokens: tuple[int, ...], slots: Sequence[Slot], deadline: float) -> bool:
        """Whether a new candidate is expected to end before the deadline, or only a little after it.

        It shares the workers with all that is begun, and may be promoted. The first candidate always fits: a search
        without one is worth nothing.

        Args:
            tokens: the candidate.
            slots: all that is begun.
            deadline: seconds since the epoch.
        """
        if not any(slot.trained and slot.state != "failed" for slot in slots):
            return True
        workers = 1 + sum(slot.state == "running" for slot in slots)
        epoch_s = self.level(slots) * self._of_tokens(tokens)
        shared_s = ((self.left_seconds(slots) or 0.0) + self.candidate_epochs * epoch_s) / workers
        left_s = max(shared_s, self.rung_epochs(0) * epoch_s)
        return time.time() + (1 - LATE) * left_s <= deadline

    def expected_trials(self, architectures: Sequence[Architecture], *, hours: float, workers: int) -> int:
        """Candidates that so many hours allow, on a machine with nothing else to do, if these are typical ones."""
        mean = statistics.fmean(self.plan.cost.epoch_seconds(architecture) for architecture in architectures)
        return max(1, int(3600 * hours * workers / (self.candidate_epochs * mean)))

    def _start(self, rung: int) -> int:
        return self.plan.rungs.plateau(rung - 1) if rung else 0

    def _epoch_seconds(self, slot: Slot) -> float | None:
        if not slot.trained:
            return None
        return self._of_tokens(slot.tokens, slot) if self.space is not None or slot.judged else None

    def _of_tokens(self, tokens: tuple[int, ...], slot: Slot | None = None) -> float:
        """Predicted seconds of an epoch; remembered."""
        if tokens not in self._seconds:
            if self.space is not None:
                architecture = self.space.decode(tokens).architecture
            elif slot is not None:
                architecture = Architecture.model_validate(next(iter(slot.judged.values()))["architecture"])
            else:
                raise ValueError("without a space the network of tokens is not known")
            self._seconds[tokens] = self.plan.cost.epoch_seconds(architecture)
        return self._seconds[tokens]
