"""The four rows of Wei & Chakraborti's Table 3: plain, with blended tones, pruned, and both."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mindgap.core.files import read_json
from mindgap.core.notes import note
from mindgap.search.chosen import kept_probabilities
from mindgap.workflows.prune_job import PruneJob
from mindgap.workflows.prune_standing import compared
from mindgap.workflows.train import train

log = logging.getLogger(__name__)

BASELINE, TONE, PRUNING, BOTH = "baseline", "tone", "pruning", "both"

PruneOther = Callable[[Path, Path], Any]
"""Prunes a run into a folder, as this one is pruned."""


def table_rows(job: PruneJob, folder: Path, prune_other: PruneOther) -> dict[str, Any]:
    """Trains and prunes what of the four rows is missing; only the rows without blending if the store has no twins.

    The run that is pruned is the row ``baseline``, or ``tone`` if it was trained with blended tones; its counterpart is
    trained anew in ``rows``, with the same settings otherwise, and pruned with the same options.

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
        _train_counterpart(job, own, blend=not blended)
        prune_other(own, theirs)
        places |= {own.name: own, theirs.name: theirs}
    places = {name: places[name] for name in (BASELINE, TONE, PRUNING, BOTH) if name in places}
    return {"rows": {name: _row(place) for name, place in places.items()}, "comparison": _compared(job, places)} | {
        "missing": missing
    }


def _train_counterpart(job: PruneJob, out: Path, *, blend: bool) -> None:
    model, settings, options = job.model, job.model.settings, job.options
    attributes = [model.attribute, *(model.options.get("more_attributes") or [])]
    train(
        job.store,
        network=model.path,
        out=out,
        loss=settings.loss,
        mitigation=settings.mitigation,
        mitigation_options=settings.mitigation_options,
        ratios=settings.ratios,  # pyright: ignore[reportArgumentType]  (a search's shares by group)
        blend=blend,
        attribute=",".join(attributes),
        epochs=settings.epochs,
        schedule=settings.schedule,
        batch_size=settings.batch_size,
        seed=settings.seed,
        bootstrap=options.bootstrap,
        permutations=options.permutations,
        lr=settings.lr,
        precision=settings.precision,
        device=options.device,
        weights=model.options.get("weights"),
        freeze=settings.freeze,
    )


def _row(place: Path) -> dict[str, Any]:
    metrics = read_json(place / "metrics.json")
    return {"run": str(place.resolve()), "test": metrics["test"], "cost": metrics["cost"]}


def _compared(job: PruneJob, places: dict[str, Path]) -> dict[str, Any] | None:
    if not len(job.store.rows("test")):
        return None
    (first, *others) = [(name, kept_probabilities(job.store, place, "test")) for name, place in places.items()]
    return compared(job, first, *others, split="test")
