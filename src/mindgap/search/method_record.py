"""What a comparison's ledger says of every method: tuning runs, what was chosen, its seeds, and what all that took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mindgap.search.agenda import outcome
from mindgap.search.method_choice import Choice
from mindgap.search.method_order import TPE_STARTUP, MethodOrder
from mindgap.search.method_plan import LR_ABOVE, LR_BELOW, MethodPlan, MethodRun
from mindgap.search.method_runs import MethodRuns
from mindgap.search.slot import Slot
from mindgap.train.mitigation import MITIGATIONS
from mindgap.train.schedule import SCHEDULES


@dataclass(frozen=True)
class MethodRecord:
    """One method.

    Attributes:
        name: of the mitigation.
        tuning: its tuning runs, in order, as in the record's ``trials``.
        final: its runs with the chosen options, one per seed, likewise.
        choice: whose options were taken; None if none could be.
        options: what was chosen: ``lr`` and the method's own, where they are not the defaults.
    """

    name: str
    tuning: list[dict[str, Any]]
    final: list[dict[str, Any]]
    choice: Choice | None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def completed(self) -> dict[int, str]:
        """Folder of each seed that was trained to the end."""
        return {run["seed"]: run["folder"] for run in self.final if run["state"] == "complete"}

    @property
    def why_none(self) -> str | None:
        """Why no seed was trained to the end; None if one was."""
        return None if self.completed else f"no seed was trained to the end ({self.final[0]['reason']})"

    def summary(self) -> dict[str, Any]:
        """What ``compare.json`` says of it besides its test figures."""
        tuning, final = _spent(self.tuning), _spent(self.final)
        return {
            "image_passes": tuning["image_passes"] + final["image_passes"],
            "seconds": tuning["seconds"] + final["seconds"],
            "spent": {"tuning": tuning, "final": final},
            "options": self.options,
            "chosen_trial": None if self.choice is None else self.choice.trial,
            "why": self.why_none if self.choice is None else self.choice.why,
            "runs": self.final,
            "failed": [
                {name: run[name] for name in ("slot", "trial", "seed", "reason")}
                for run in (*self.tuning, *self.final)
                if run["state"] != "complete"
            ],
            "reason": self.why_none,
        }


class MethodRecords:
    """Reads the slots of a comparison, all of which are settled."""

    def __init__(self, plan: MethodPlan, slots: Sequence[Slot]) -> None:
        self.plan = plan
        self.seeds = [plan.seed + number for number in range(plan.seeds)]
        self._runs = [self._run(slot) for slot in slots]
        self._order = MethodOrder(plan)
        for slot in slots[: plan.tuning_slots]:
            self._order.tell(outcome(slot, reward=MethodRuns.reward))

    def methods(self) -> list[MethodRecord]:
        """Every method, the baseline first."""
        return [self._method(number, name) for number, name in enumerate(self.plan.methods)]

    def trials(self) -> list[dict[str, Any]]:
        """All tuning runs, in the order in which they were begun."""
        return [run for run in self._runs if run["seed"] is None]

    def tuning(self) -> dict[str, Any]:
        """The budget that all methods had alike, and the ranges that were tried."""
        plan = self.plan
        own = SCHEDULES[plan.training.schedule].lr
        at_random = max(0, (min(plan.trials, TPE_STARTUP) if plan.tuner == "tpe" else plan.trials) - 1)
        return {
            "tuner": plan.tuner,
            "trials": plan.trials,
            "at_random": at_random,
            "by_tpe": max(0, plan.trials - 1) - at_random,
            "lr": {"default": own, "low": own / LR_BELOW, "high": own * LR_ABOVE},
            "ranges": plan.model_dump(mode="json")["tuned"],
        }

    def _method(self, number: int, name: str) -> MethodRecord:
        own = [run for run in self._runs if run["method"] == name]
        tuning, final = ([run for run in own if (run["seed"] is None) == tuned] for tuned in (True, False))
        choice = self._order.choice(number)
        chosen = final[0] if choice is not None else None
        return MethodRecord(name, tuning, final, choice, {} if chosen is None else chosen["options"])

    def _run(self, slot: Slot) -> dict[str, Any]:
        plan, run, result = self.plan, MethodRun.of(slot.tokens), slot.result
        lr, options = plan.tuned_values(run)
        name = plan.methods[run.method]
        if not run.quantiles:
            options = _defaults(name, plan)
        complete = slot.state == "complete"
        return {
            "slot": slot.number,
            "method": name,
            "trial": run.trial if run.trial >= 0 else None,
            "seed": plan.seed + run.seed if run.seed >= 0 else None,
            "folder": f"trials/{slot.number}/{slot.last.attempt}",
            "state": slot.state,
            "reason": slot.reason,
            "options": {"lr": lr or SCHEDULES[plan.training.schedule].lr, **options} if run.trial >= 0 else {},
            "accuracy": result.get("accuracy"),
            "unfairness": result.get("unfairness"),
            "worst_group_accuracy": result.get("reward") if complete else None,
            "groups": result.get("groups"),
            "epochs": result.get("epochs", slot.epoch),
            "image_passes": result.get("image_passes"),
            "seconds": result.get("seconds"),
            "mitigation_figures": result.get("mitigation_figures") or [],
            "attempts": len(slot.attempts),
        }


def _defaults(name: str, plan: MethodPlan) -> dict[str, Any]:
    """The values of a method's tuned options that it has by default."""
    model = MITIGATIONS.get(name).options_model()
    return {option: getattr(model, option) for option in plan.tuned[name]}


def _spent(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Over the runs of which it is known; one that crashed says nothing."""
    return {
        "runs": len(runs),
        "image_passes": round(sum(run["image_passes"] or 0 for run in runs)),
        "seconds": float(sum(run["seconds"] or 0.0 for run in runs)),
    }
