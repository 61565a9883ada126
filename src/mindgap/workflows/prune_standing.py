"""Where a pruned network stands: the figures that decide, and their paired changes with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.audit.compared_models import Model
from mindgap.audit.comparison import ComparisonOptions, compare_models
from mindgap.metrics.metric import METRICS
from mindgap.prune.schedule import ValidationFigures
from mindgap.workflows.prune_job import PruneJob


def validation_figures(audit: Mapping[str, Any], attributes: Sequence[str], gap: str) -> ValidationFigures:
    """Accuracy and gaps of an AUDIT; of several labels the means, a gap over the labels where it is defined.

    A gap whose best value is not 0, such as a ratio, counts by how far it is from its best.
    """
    parts = list(audit["labels"].values()) if "labels" in audit else [audit]
    values = {
        name: [_distance(part["attributes"].get(name, {}).get("gaps", {}).get(gap), gap) for part in parts]
        for name in attributes
    }
    return ValidationFigures(audit["overall"]["accuracy"]["value"], {name: _mean(of) for name, of in values.items()})


def gap_changes(
    job: PruneJob, *, first: NDArray[np.float64], before: NDArray[np.float64], now: NDArray[np.float64]
) -> dict[str, Any]:
    """Paired changes on the validation rows: accuracy since the beginning, each attribute's gap since the last step.

    Returns:
        ``accuracy`` and ``gaps`` by attribute (of several labels by label and attribute), each a difference record.
    """
    since_start, since_last = (compared(job, (name, other), ("now", now)) for name, other in _pairs(first, before))
    gap = job.options.gap
    changes = {
        label: {name: part["attributes"][name]["gaps"].get(gap, {}).get("now") for name in job.attributes}
        for label, part in _parts(since_last).items()
    }
    accuracies = {label: part["overall"]["accuracy"]["now"] for label, part in _parts(since_start).items()}
    if "labels" in since_last:
        return {"accuracy": accuracies, "gaps": changes}
    return {"accuracy": accuracies[""], "gaps": changes[""]}


def compared(
    job: PruneJob,
    baseline: tuple[str, NDArray[np.float64]],
    *others: tuple[str, NDArray[np.float64]],
    split: str = "validation",
) -> dict[str, Any]:
    """Networks of the job compared on a split, by their probabilities; names are the models'."""
    rows, options = job.store.rows(split), job.options
    models = [Model(name, (name,), (None,), (job.predictions(rows, chances),)) for name, chances in (baseline, *others)]
    how = ComparisonOptions(
        gap=options.gap, bootstrap=options.bootstrap, permutations=options.permutations, seed=options.seed
    )
    return compare_models(models, how)


def _pairs(first: NDArray[np.float64], before: NDArray[np.float64]) -> tuple[tuple[str, NDArray[np.float64]], ...]:
    return ("start", first), ("before", before)


def _parts(record: Mapping[str, Any]) -> dict[str, Any]:
    return dict(record["labels"]) if "labels" in record else {"": record}


def _distance(found: Mapping[str, Any] | None, gap: str) -> float:
    value = None if found is None else found["value"]
    return math.nan if value is None else abs(value - METRICS.get(gap).ideal)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else math.nan
