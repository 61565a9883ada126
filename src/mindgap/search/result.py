"""What a search found: the record of ``search.json``, from the ledger alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mindgap.metrics.pareto import non_dominated
from mindgap.search.agreement import agreement
from mindgap.search.plan import SearchPlan
from mindgap.search.slot import Slot
from mindgap.search.trial import describe_candidate
from mindgap.space.search_space import SearchSpace

TOP = 5
FIGURES = ("reward", "accuracy", "unfairness")
JUDGED = (*FIGURES, "epochs", "image_passes", "seconds")


def search_record(slots: Sequence[Slot], plan: SearchPlan, *, space: SearchSpace) -> dict[str, Any]:
    """All candidates, the best of them, and the chosen one.

    ``front`` holds the candidates that no other beats in accuracy, unfairness and MACs at once; those below the
    accuracy floor are left out, unless all are, because naming the commonest class for everyone has little unfairness.
    ``chosen`` has the highest reward, the first of a tie.
    """
    trials = [trial_record(slot, plan, space=space) for slot in slots]
    complete = [trial for trial in trials if trial["state"] == "complete"]
    top = sorted(complete, key=lambda trial: (-trial["reward"], trial["slot"]))[:TOP]
    return {
        "seed": plan.seed,
        "attribute": plan.attribute,
        "preset": plan.preset,
        "searcher": plan.searcher,
        "unfairness": plan.unfairness,
        "excluded_groups": list(plan.excluded_groups),
        "reward": plan.reward.model_dump(),
        "rungs": rungs_record(slots, plan),
        "warm_start": None if plan.prior is None else plan.prior.summary(),
        "trials": trials,
        "front": pareto_front(complete, floor=plan.reward.accuracy_floor),
        "top": [trial["slot"] for trial in top],
        "top_summary": top_summary(top),
        "chosen": top[0]["slot"] if top else None,
    }


def trial_record(slot: Slot, plan: SearchPlan, *, space: SearchSpace) -> dict[str, Any]:
    """One candidate; of one that failed, the architecture is decoded from its tokens."""
    result = slot.result
    if "architecture" not in result:
        result = describe_candidate(space.decode(slot.tokens)) | dict(result)
    infeasible = plan.reward.infeasible if slot.state == "failed" else None
    return {
        "slot": slot.number,
        "state": slot.state,
        "reason": slot.reason,
        "architecture": result.get("architecture"),
        "ratios": result.get("ratios"),
        "loss": result.get("loss") or plan.training.loss,
        "choices": result.get("choices", {}),
        "training": result.get("training", {}),
        "reward": result.get("reward", infeasible),
        "accuracy": result.get("accuracy"),
        "unfairness": result.get("unfairness"),
        "groups": result.get("groups"),
        "macs": result.get("macs"),
        "params": result.get("params"),
        "epochs": result.get("epochs", slot.epoch),
        "control": slot.is_control,
        "rungs": [{"rung": rung} | {name: found.get(name) for name in JUDGED} for rung, found in slot.judged.items()],
        "image_passes": _sum(slot, "image_passes"),
        "seconds": _sum(slot, "seconds") or slot.seconds,
        "attempts": len(slot.attempts),
        "attempt": slot.last.attempt,
        "tokens": list(slot.tokens),
    }


def rungs_record(slots: Sequence[Slot], plan: SearchPlan) -> dict[str, Any] | None:
    """How far candidates were trained, what it spared, and how well lower rungs ranked; None if all went to the end."""
    rungs = plan.rungs
    if rungs.top == 0:
        return None
    passes = sum(_sum(slot, "image_passes") or 0 for slot in slots)
    judged = [slot for slot in slots if slot.judged]
    full = [found["image_passes"] / found["epochs"] for slot in judged if (found := slot.judged.get(0))]
    failed = [_sum(slot, "image_passes") or 0 for slot in slots if 0 not in slot.judged]  # as early without rungs
    return {
        "epochs": list(rungs.epochs),
        "bracket": rungs.bracket,
        "promotion": rungs.promotion.model_dump(mode="json"),
        "reached": [sum(rung in slot.judged for slot in slots) for rung in range(rungs.top + 1)],
        "control": [slot.number for slot in slots if slot.is_control],
        "image_passes": passes,
        "image_passes_without": round(sum(full) * rungs.epochs[-1] + sum(failed)),
        "agreement": agreement(slots, rungs),
    }


def pareto_front(complete: Sequence[dict[str, Any]], *, floor: float) -> list[int]:
    """Slots of the candidates that are not dominated in accuracy (more), unfairness and MACs (less)."""
    feasible = [trial for trial in complete if trial["accuracy"] >= floor] or list(complete)
    if not feasible:
        return []
    points = np.array([[trial["accuracy"], trial["unfairness"], trial["macs"]] for trial in feasible], dtype=np.float64)
    kept = non_dominated(points, maximize=(True, False, False))
    return [trial["slot"] for trial, keep in zip(feasible, kept, strict=True) if keep]


def top_summary(top: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and sample standard deviation over the best candidates, as the rows of BiaslessNAS's Table 1.

    Returns:
        ``n``, ``groups`` (accuracy of every group), ``reward``, ``accuracy`` and ``unfairness``; a spread of fewer than
        two candidates is None, and so are both figures of a group without a validation image.
    """
    names = list(top[0]["groups"]) if top else []
    return {
        "n": len(top),
        "groups": {name: _spread([trial["groups"][name] for trial in top]) for name in names},
        **{figure: _spread([trial[figure] for trial in top]) for figure in FIGURES},
    }


def _spread(figures: Sequence[float | None]) -> dict[str, float | None]:
    values = [figure for figure in figures if figure is not None]
    mean = float(np.mean(values)) if values else None
    return {"mean": mean, "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def _sum(slot: Slot, figure: str) -> float | None:
    """Over all rungs that were judged, and the one that failed; None without one."""
    results = (attempt.result or {} for attempt in slot.attempts)
    values = [result[figure] for result in results if result.get(figure) is not None]
    return sum(values) if values else None
