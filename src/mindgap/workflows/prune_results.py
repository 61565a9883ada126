"""What a pruning leaves: the network that was kept, its figures on the test split, and the record."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from mindgap.core.files import jsonable, write_json
from mindgap.core.progress import Progress
from mindgap.metrics.predictions import write_predictions
from mindgap.prune.schedule import PruningSchedule
from mindgap.space.architecture import save_network
from mindgap.space.cost import measure_latencies_ms
from mindgap.train.fine_tuning import FineTuned
from mindgap.workflows.prune_job import PruneJob
from mindgap.workflows.prune_standing import compared
from mindgap.workflows.prune_steps import PREDICTIONS, Step, training_record, tune

UNPRUNED, CONTROL, PRUNED = "unpruned", "fine-tuned only", "pruned"


def write_results(job: PruneJob, folder: Path, steps: Sequence[Step], bar: Progress) -> dict[str, Any]:
    """Writes the run's files from its iterations; what provenance should say."""
    _time(job, steps)
    kept = kept_steps(steps)
    chosen = kept[-1]
    control = _control(job, folder / "control", len(kept) - 1, bar) if job.options.control and len(kept) > 1 else []
    bar.describe("judging on the test split")
    save_network(folder, chosen.architecture, chosen.network)
    validation, test = job.store.rows("validation"), job.store.rows("test")
    chances = {
        UNPRUNED: job.probabilities(job.model.network, job.model.architecture, test, modes=job.model.modes),
        PRUNED: job.probabilities(chosen.network, chosen.architecture, test, modes=chosen.modes or None),
    }
    if control:
        last = control[-1]
        chances[CONTROL] = job.probabilities(last.network, job.model.architecture, test, modes=last.modes or None)
    both = job.predictions(np.concatenate([validation, test]), np.concatenate([chosen.validation, chances[PRUNED]]))
    splits = ["validation"] * len(validation) + ["test"] * len(test)
    write_predictions(folder / PREDICTIONS, both, split=splits)
    settings = job.settings if len(kept) > 1 else job.model.settings
    tunings = [step.record["training"] for step in steps[1:]]
    metrics = {
        "validation": chosen.record["validation"],
        "test": job.audit(job.predictions(test, chances[PRUNED])) if len(test) else None,
        "cost": chosen.record["cost"],
        "training": {key: sum(one[key] for one in tunings) for key in ("image_passes", "seconds", "epochs")}
        | {"mitigation": settings.mitigation, "attribute": job.model.attribute},
    }
    write_json(folder / "metrics.json", jsonable(metrics))
    write_json(
        folder / "prune.json", jsonable(_record(job, steps, control, chances if len(test) and len(kept) > 1 else {}))
    )
    return {"modes": list(chosen.modes), "trained_with": settings.model_dump(mode="json")}


def _time(job: PruneJob, steps: Sequence[Step]) -> None:
    """Adds the milliseconds of one image to the steps' costs, measured in turns."""
    networks = [step.architecture.build() for step in steps]
    for step, latency in zip(steps, measure_latencies_ms(networks, job.store.size_px), strict=True):
        step.record["cost"]["latency_ms"] = latency


def kept_steps(steps: Sequence[Step]) -> Sequence[Step]:
    """Without the last one if it was taken back."""
    decision = steps[-1].record.get("decision")
    return steps[:-1] if decision is not None and decision["revert"] else steps


def _control(job: PruneJob, folder: Path, times: int, bar: Progress) -> list[FineTuned]:
    """The unpruned network, fine-tuned as often as the pruned one, with the same seeds."""
    network, done = deepcopy(job.model.network), list[FineTuned]()
    for iteration in range(1, times + 1):
        bar.describe(f"control {iteration}: fine-tuning without removal")
        done.append(tune(job, network, job.model.architecture, folder / str(iteration), iteration=iteration, bar=bar))
        network = deepcopy(done[-1].network.to("cpu"))
    return done


def _record(
    job: PruneJob, steps: Sequence[Step], control: Sequence[FineTuned], chances: dict[str, Any]
) -> dict[str, Any]:
    kept = kept_steps(steps)
    options, last = job.options, steps[-1].record
    return {
        "schema": 1,
        "run": str(job.model.path.resolve()),
        "method": options.method,
        "attributes": list(job.attributes),
        "layers": list(steps[0].channels),
        "gap": options.gap,
        "schedule": job.options.model_dump(mode="json", include=set(PruningSchedule.model_fields)),
        "iterations": [step.record for step in steps],
        "kept": len(kept) - 1,
        "reverted": len(kept) < len(steps),
        "reason": last["decision"]["reason"],
        "control": [training_record(one) for one in control],
        "comparison": _comparison(job, chances),
        "against_control": _against_control(job, chances),
    }


def _comparison(job: PruneJob, chances: dict[str, Any]) -> dict[str, Any] | None:
    """The pruned network and the control against the network before pruning, on the test split."""
    if not chances:
        return None
    others = [(name, chances[name]) for name in (CONTROL, PRUNED) if name in chances]
    return compared(job, (UNPRUNED, chances[UNPRUNED]), *others, split="test")


def _against_control(job: PruneJob, chances: dict[str, Any]) -> dict[str, Any] | None:
    """The pruned network against the control, likewise; None without a control."""
    if CONTROL not in chances:
        return None
    return compared(job, (CONTROL, chances[CONTROL]), (PRUNED, chances[PRUNED]), split="test")
