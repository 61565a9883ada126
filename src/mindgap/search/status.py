"""How far a search is, from its ledger alone; it may be running, stopped or finished."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from mindgap.core.errors import MindgapError, RunError
from mindgap.core.files import read_json
from mindgap.core.run import finished_time
from mindgap.data.image_store import Store
from mindgap.search.agenda import Target, is_done
from mindgap.search.driver import DRIVER
from mindgap.search.forecast import Forecast
from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger
from mindgap.search.ledger_place import ledger_url
from mindgap.search.method_plan import METHODS
from mindgap.search.plan import read_plan
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
    left_s = _seconds_left(slots, target, _forecast(notes, run), at_work=len(working), spent_s=spent_s)
    return {
        "state": state_of(
            slots,
            target,
            finished=run is not None
            and finished_time(run) is not None
            and (METHODS in notes or len(read_json(run / "search.json")["trials"]) == len(slots)),
            alive=bool(working) or _is_alive(notes.get(DRIVER)),
        ),
        "trained": done,
        "asked_for": target.trials,
        "expected": None if is_done(slots, target) else notes.get("expected_trials"),
        **_counts(slots),
        "workers_at_work": len(working),
        "epochs_done": sum(slot.epoch for slot in slots),
        "best": _best(slots),
        "hours_spent": round(spent_s / 3600, 2),
        "trials_per_hour": float(f"{done / spent_s * 3600:.3g}") if spent_s and done else None,
        "time_left": None if left_s is None else str(timedelta(seconds=round(left_s))),
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
    if target.without_deadline().wants_more(slots):
        return "the time was up before a candidate was trained; a larger --budget-hours goes on"
    return (
        "no candidate could be trained; the same command ends with the same error: "
        "change the options with --force, or a larger --trials goes on"
    )


def why_none(candidates: int, *, budget_hours: float | None) -> str:
    """Why no network can be chosen; with no candidate at all only the time can have run out."""
    if candidates:
        return (
            f"none of {candidates} candidates was trained to the end; "
            "see the reasons in search.json, and loosen the limits or the training"
        )
    hours = f"{budget_hours:g} hours"
    return f"used up its {hours}, this call and earlier ones, before a candidate was begun; raise --budget-hours"


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


def _forecast(notes: dict[str, Any], run: Path | None) -> Forecast | None:
    """What predicts the search's work; None if its plan is not understood. Its store need not be here."""
    try:
        plan = read_plan(notes)
    except RunError:
        return None
    if run is None:
        return Forecast(plan)
    try:
        return Forecast(plan, plan.open_space(Store.open(plan.store), run=run))
    except MindgapError:
        return Forecast(plan)


def _seconds_left(
    slots: Sequence[Slot], target: Target, forecast: Forecast | None, *, at_work: int, spent_s: float
) -> float | None:
    """Predicted work of what is begun and of what is still to begin, over the workers there are; None if not known.

    While nobody works, the number of workers is that of earlier calls on average. A budget of time ends a search at its
    deadline, or when what was begun before it is done.
    """
    if is_done(slots, target):
        return 0.0
    if forecast is None:
        return None
    new = 0 if target.trials is None or not target.wants_more(slots) else target.trials - sum(s.trained for s in slots)
    work_s = forecast.left_seconds(slots, new=new)
    before = sum(slot.seconds for slot in slots) / spent_s if spent_s else 1.0
    left_s = None if work_s is None else work_s / max(1.0, at_work or before)
    if target.deadline is None or not target.wants_more(slots):
        return left_s
    until_s = max(0.0, target.deadline - time.time())
    if target.trials is None:
        return until_s if left_s is None else max(until_s, left_s)
    return until_s if left_s is None else min(until_s, left_s)
