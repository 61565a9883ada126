"""How long what is left of a search will take: for its status, and for a deadline."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from mindgap.search.agenda import rung_due
from mindgap.search.plan import SearchPlan
from mindgap.search.slot import Attempt, Slot
from mindgap.space.architecture import Architecture
from mindgap.space.search_space import SearchSpace

LATEST = 16  # results that say how busy the machine is
RECENT = 64  # candidates that new ones are expected to be like
ATTEMPT_S = 1.0  # what a candidate takes besides training: to be proposed, built, judged and written
LATE = 0.1  # share of its time by which a candidate may be predicted to end after the deadline


class Forecast:
    """Predicts seconds of work from the plan's cost model and from what was trained so far.

    Args:
        plan: of the search.
        space: tells the networks of candidates; without it all count alike, as what was trained on average.
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
        """Expected seconds of one worker for all that is begun, and for so many new candidates like the latest.

        None without a network that is known or was trained.
        """
        trained, level = [slot for slot in slots if slot.trained], self.level(slots)
        if level is None or not trained:
            return None
        mean = statistics.fmean(self._epoch_seconds(slot.tokens) for slot in trained[-RECENT:])
        begun = sum(self.left_epochs(slot) * self._epoch_seconds(slot.tokens) for slot in trained if not slot.settled)
        return level * (begun + new * self.candidate_epochs * mean)

    def level(self, slots: Sequence[Slot]) -> float | None:
        """How much longer than predicted candidates take here: the median over the latest results, 1 before the first.

        It goes by epochs, so that what a mitigation adds to each, or trains besides, is in it.
        Without the space the prediction is a second per image, so that this is the seconds per image, and None before
        the first.
        """
        done = [(slot, attempt) for slot in slots for attempt in slot.attempts if _was_trained(attempt)][-LATEST:]
        ratios = [
            max(attempt.result["seconds"], attempt.seconds or 0.0)
            / (self.rung_epochs(attempt.rung) * self._epoch_seconds(slot.tokens))
            for slot, attempt in done
            if attempt.result is not None
        ]
        if not ratios:
            return None if self.space is None else 1.0
        return statistics.median(ratios)

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
        epoch_s = (self.level(slots) or 1.0) * self._epoch_seconds(tokens)
        shared_s = ((self.left_seconds(slots) or 0.0) + self.candidate_epochs * epoch_s) / workers
        left_s = max(shared_s, self.rung_epochs(0) * epoch_s)
        return time.time() + (1 - LATE) * left_s <= deadline

    def expected_trials(self, architectures: Sequence[Architecture], *, hours: float, workers: int) -> int:
        """Candidates that so many hours allow, on a machine with nothing else to do, if these are typical ones."""
        mean = statistics.fmean(self.plan.cost.epoch_seconds(architecture) for architecture in architectures)
        return max(1, int(3600 * hours * workers / (self.candidate_epochs * mean + ATTEMPT_S)))

    def _start(self, rung: int) -> int:
        return self.plan.rungs.plateau(rung - 1) if rung else 0

    def _epoch_seconds(self, tokens: tuple[int, ...]) -> float:
        """Predicted seconds of an epoch; remembered."""
        if self.space is None:
            return float(self.plan.cost.images_per_epoch)
        if tokens not in self._seconds:
            self._seconds[tokens] = self.plan.cost.epoch_seconds(self.space.decode(tokens).architecture)
        return self._seconds[tokens]


def _was_trained(attempt: Attempt) -> bool:
    """Whether an attempt has a result, and the time it took is known."""
    result = attempt.result
    return result is not None and result["state"] == "complete" and bool(result.get("image_passes"))
