"""Slots made by hand, for tests of what is decided on a ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindgap.search.slot import Attempt, Slot


def result(
    accuracy: float = 0.5, unfairness: float = 0.1, macs: int = 1, reward: float | None = None
) -> dict[str, Any]:
    """What training found; the reward is accuracy less unfairness unless it is given."""
    reward = accuracy - unfairness if reward is None else reward
    return {"state": "complete", "accuracy": accuracy, "unfairness": unfairness, "macs": macs, "reward": reward}


def attempt(slot: int, number: int, *, rung: int = 0, found: Mapping[str, Any] | None = None, **others: Any) -> Attempt:
    """A try at a slot, which runs unless it found something; ``others`` are fields of ``Attempt``."""
    values: dict[str, Any] = {
        "finished": found is not None,
        "lease": None,
        "epoch": 0,
        "ending": None,
        "detail": "",
        "seconds": 1.0,
    }
    return Attempt(number=0, slot=slot, attempt=number, tokens=(slot,), rung=rung, result=found, **values | others)


def judged(number: int, *found: Mapping[str, Any]) -> Slot:
    """A slot with one finished attempt per rung."""
    return Slot(tuple(attempt(number, rung + 1, rung=rung, found=one) for rung, one in enumerate(found)))


def running(number: int) -> Slot:
    """A slot at whose first rung somebody works."""
    return Slot((attempt(number, 1),))


def rejected(number: int) -> Slot:
    """A slot that was not trained."""
    return Slot((attempt(number, 1, found={"state": "rejected", "reward": -1.0, "reason": "too large"}),))
