"""What a search knows of an earlier one: its candidates and what became of them, copied into the plan."""

from __future__ import annotations

from typing import Any

from mindgap.core.config import StrictModel
from mindgap.search.searcher import Outcome


class PriorOutcome(StrictModel):
    """A candidate of an earlier search.

    Attributes:
        tokens: the candidate.
        reward: by this search's numbers of eq. 2.
        accuracy: in 0..1.
        unfairness: U.
        macs: multiply-accumulates per image.
        feasible: its accuracy reaches the floor of its rung, by this search's numbers.
    """

    tokens: tuple[int, ...]
    reward: float
    accuracy: float
    unfairness: float
    macs: int
    feasible: bool


class Prior(StrictModel):
    """The candidates of an earlier search, in the order of their slots.

    Attributes:
        source: folder or ledger they come from, which need not exist any more.
        outcomes: the candidates.
    """

    source: str
    outcomes: tuple[PriorOutcome, ...]

    def told(self) -> list[Outcome]:
        """What a searcher is told before slot 0."""
        return [
            Outcome(slot, one.tokens, one.reward, one.accuracy, one.unfairness, one.macs, feasible=one.feasible)
            for slot, one in enumerate(self.outcomes)
        ]

    def summary(self) -> dict[str, Any]:
        """For a search's record."""
        return {"source": self.source, "candidates": len(self.outcomes)}
