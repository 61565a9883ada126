"""How far a search is, from its ledger alone; it may be running, stopped or finished."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from mindgap.core.files import read_json
from mindgap.core.run import finished_time
from mindgap.search.agenda import Target, is_done
from mindgap.search.driver import DRIVER
from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger
from mindgap.search.ledger_place import ledger_url
from mindgap.search.slot import Slot


def search_status(run: Path) -> dict[str, Any]:
    """Progress, rate and time left of a search.

    Raises:
        RunError: the folder holds no search that has begun.
    """
    return ledger_status(ledger_url(run), run=run)


def ledger_status(url: str, *, run: Path | None) -> dict[str, Any]:
    """The same of a ledger at an address; ``run`` is the search's folder if it is seen here.

    Raises:
        RunError: there is no such ledger.
    """
    ledger = Ledger(url, read_only=True)
    try:
        notes, slots = ledger.notes(), ledger.slots()
    finally:
        ledger.close()
    target = Target(**notes.get("target", {}))
    working = [slot for slot in slots if slot.state == "running" and slot.last.lease and not slot.last.lease.is_dead()]
    spent_s = float(notes.get("spent_s", 0.0))
    done = sum(slot.settled and slot.trained for slot in slots)
    return {
        "state": state_of(
            slots,
            target,
            finished=run is not None
            and finished_time(run) is not None
            and len(read_json(run / "search.json")["trials"]) == len(slots),
            alive=bool(working) or _is_alive(notes.get(DRIVER)),
        ),
        "trained": done,
        "asked_for": target.trials,
        **_counts(slots),
        "workers_at_work": len(working),
        "epochs_done": sum(slot.epoch for slot in slots),
        "best": _best(slots),
        "hours_spent": round(spent_s / 3600, 3),
        "trials_per_hour": round(done / spent_s * 3600, 2) if spent_s and done else None,
        "time_left": _time_left(target, done=done, spent_s=spent_s),
    }


def state_of(slots: Sequence[Slot], target: Target, *, finished: bool, alive: bool) -> str:
    """How a search stands and what the user can do about it, in a few words.

    Args:
        slots: all candidates.
        target: when the search has done enough.
        finished: its report is written.
        alive: somebody works on it.
    """
    if not is_done(slots, target):
        return "running" if alive else "stopped; the same command goes on"
    if finished:
        return "finished"
    if any(slot.state == "complete" for slot in slots):
        return "all candidates are done" + ("; auditing" if alive else "; the same command writes the report")
    # The deadline is the last call's; the next call's is later if that one was stopped, so nothing is said of it.
    if target.model_copy(update={"deadline": None}).wants_more(slots):
        return "the time was up before a candidate was trained; a larger --budget-hours goes on"
    return (
        "no candidate could be trained; the same command ends with the same error: "
        "change the options with --force, or a larger --trials goes on"
    )


def _is_alive(driver: dict[str, Any] | None) -> bool:
    """Whether the driver is known to live; of one on another host nothing is known."""
    lease = None if driver is None else Lease(**driver)
    return lease is not None and lease.is_here() and not lease.is_dead()


def _counts(slots: list[Slot]) -> dict[str, int]:
    counts = Counter(slot.state for slot in slots)
    return {
        state: counts[state] for state in ("complete", "pruned", "rejected", "failed", "running", "open", "waiting")
    }


def _best(slots: list[Slot]) -> str | None:
    complete = [slot for slot in slots if slot.state == "complete"]
    if not complete:
        return None
    best = max(complete, key=lambda slot: (slot.result["reward"], -slot.number))
    result = best.result
    return (
        f"slot {best.number}, reward {result['reward']:.3f}, validation accuracy {result['accuracy']:.3f}, "
        f"U {result['unfairness']:.3f}"
    )


def _time_left(target: Target, *, done: int, spent_s: float) -> str | None:
    lefts = []
    if target.trials is not None and done and spent_s:
        lefts.append(max(0, target.trials - done) * spent_s / done)
    if target.deadline is not None:
        lefts.append(max(0.0, target.deadline - time.time()))
    return str(timedelta(seconds=round(min(lefts)))) if lefts else None
