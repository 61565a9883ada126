"""The four rows of Wei & Chakraborti's Table 3: plain, with blended tones, pruned, and both."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mindgap.core.files import read_json
from mindgap.core.notes import note
from mindgap.search.chosen import kept_probabilities
from mindgap.space.foreign_weights import ForeignWeights
from mindgap.workflows.prune_job import PruneJob
from mindgap.workflows.prune_standing import compared
from mindgap.workflows.train import carry_out
from mindgap.workflows.train_job import TrainJob

log = logging.getLogger(__name__)

BASELINE, TONE, PRUNING, BOTH = "baseline", "tone", "pruning", "both"

PruneOther = Callable[[Path, Path], Any]
"""Prunes a run into a folder, as this one is pruned."""


def table_rows(job: PruneJob, folder: Path, prune_other: PruneOther) -> dict[str, Any]:
    """Trains and prunes what of the four rows is missing; only the rows without blending if the store has no twins.

    The run that is pruned is the row ``baseline``, or ``tone`` if it was trained with blended tones; its counterpart is
    trained anew in ``rows``, with all settings but the blend the same, and pruned with the same options.

    Args:
        job: the pruning whose results stand in the folder.
        folder: of its run.
        prune_other: prunes the counterpart.

    Returns:
        ``rows``: of each its run, its AUDIT of the test split and its cost; ``comparison``: of the others with the
        baseline on the test split, None without test images; ``missing``: why rows are not there, or None.
    """
    blended = job.model.settings.blend is not None
    places = {TONE if blended else BASELINE: job.model.path, BOTH if blended else PRUNING: folder}
    missing = None
    if job.store.twins is None:
        missing = f"{job.store.path} has no twins of another tone, which mindgap tone makes"
        note(log, f"rows {TONE} and {BOTH} are left out: {missing}")
    else:
        own, theirs = (
            folder / "rows" / (BASELINE if blended else TONE),
            folder / "rows" / (PRUNING if blended else BOTH),
        )
        _train_counterpart(job, own)
        prune_other(own, theirs)
        places |= {own.name: own, theirs.name: theirs}
    places = {name: places[name] for name in (BASELINE, TONE, PRUNING, BOTH) if name in places}
    rows = {name: _row(place) for name, place in places.items()}
    return {"rows": rows, "comparison": _compared(job, places), "missing": missing}


def _train_counterpart(job: PruneJob, out: Path) -> None:
    model, options = job.model, job.options
    weights = model.options.get("weights")
    counterpart = TrainJob(
        job.store,
        model.architecture,
        model.settings.model_copy(update={"blend": job.counterpart_blend, "device": options.device}),
        model.attribute,
        options.bootstrap,
        options.permutations,
        more_attributes=tuple(model.options.get("more_attributes") or ()),
        weights=None if weights is None else ForeignWeights.read(weights),
    )
    carry_out(counterpart, out, network=model.path)


def _row(place: Path) -> dict[str, Any]:
    metrics = read_json(place / "metrics.json")
    return {"run": str(place.resolve()), "test": metrics["test"], "cost": metrics["cost"]}


def _compared(job: PruneJob, places: dict[str, Path]) -> dict[str, Any] | None:
    if not len(job.store.rows("test")):
        return None
    (first, *others) = [(name, kept_probabilities(job.store, place, "test")) for name, place in places.items()]
    return compared(job, first, *others, split="test")
