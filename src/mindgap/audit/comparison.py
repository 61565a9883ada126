"""The comparison of models on the same rows: paired differences, swap tests, and what may be said of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindgap.audit.attribute_audit import attribute_resampling
from mindgap.audit.compared_models import Model, SingleLabelModel, matched_models, paired_seeds
from mindgap.audit.comparison_verdict import attribute_verdict, read_differences
from mindgap.audit.differences import Beside, Differences
from mindgap.audit.model_figures import model_figures
from mindgap.audit.paired_measures import View
from mindgap.audit.record import Record
from mindgap.core.errors import ConfigError, near_names
from mindgap.core.groups import Groups
from mindgap.metrics.metric import gap_metrics

SCHEMA = 1


@dataclass(frozen=True)
class ComparisonOptions:
    """How models are compared.

    Attributes:
        gap: the gap that an attribute's verdict is about.
        bootstrap: replicates behind each interval.
        permutations: swaps behind each p-value.
        seed: of both.
        min_group: rows under which a group is in no gap.
    """

    gap: str = "unfairness"
    bootstrap: int = 2000
    permutations: int = 1000
    seed: int = 0
    min_group: int = 1


def compare_models(
    models: Sequence[Model], options: ComparisonOptions, *, attribute_done: Callable[[str], None] | None = None
) -> Record:
    """Compares each model with the first on the same rows, the same resamples and swaps of whole clusters.

    Several seeds of a model are judged together: a figure is its mean over them. Differences are the other model's
    figure less the first's. p-values are adjusted (Holm) over the models and all that is looked at together: a gap over
    the attributes, a group's figure over all groups.

    Args:
        models: the first is the baseline; names differ.
        options: how to compare.
        attribute_done: called with the name of each attribute (of each label) when it is done.

    Returns:
        The record, JSON-ready: what is undefined is None with a reason.

    Raises:
        ConfigError: there is no such gap, or it is not one of this task.
        DataError: the models' rows, labels, classes, groups or clusters are not the same.
    """
    same = matched_models(models)
    parts = same.by_label()
    first = next(iter(parts.values()))[0].predictions[0]
    refuse_unknown_gap(options.gap, first.classes)
    done = attribute_done or (lambda _: None)
    compared = {label: _of_label(part, options, done) for label, part in parts.items()}
    read_differences(compared, permutations=options.permutations)
    for part in compared.values():
        for attribute in part["attributes"].values():
            attribute["verdict"] = {
                model.name: attribute_verdict(attribute["gaps"], model.name, gap=options.gap) for model in models[1:]
            }
    record: Record = {
        "schema": SCHEMA,
        "task": "multi-label" if same.several_labels else "single-label",
        "n": first.n,
        "gap": options.gap,
        "baseline": models[0].name,
        "models": [_model(model, baseline=models[0]) for model in models],
    }
    if same.several_labels:
        return record | {"labels": compared}
    return record | {"classes": list(first.classes)} | compared[""]


def refuse_unknown_gap(gap: str, classes: Sequence[str]) -> None:
    """Refuses a gap that is not known of a task with these classes.

    Raises:
        ConfigError: it is not.
    """
    known = [metric.name for metric in gap_metrics(tuple(classes))]
    if gap not in known:
        raise ConfigError(f"gap {gap!r} is unknown for this task; {near_names(gap, known)}")


def _model(model: Model, *, baseline: Model) -> Record:
    pairs = paired_seeds(baseline, model)
    seeds = [[baseline.seeds[a], model.seeds[b]] for a, b in pairs] if model is not baseline else None
    return {"name": model.name, "sources": list(model.sources), "seeds": list(model.seeds), "compared_seeds": seeds}


def _of_label(models: Sequence[SingleLabelModel], options: ComparisonOptions, done: Callable[[str], None]) -> Record:
    """Everything of one label: ``overall`` and ``attributes`` differences, ``figures`` of each model."""
    first = models[0].predictions[0]
    whole = _compared(models, Groups("", ("",), np.zeros(first.n, dtype=np.int64)), options, done)
    attributes = {name: _compared(models, groups, options, done) for name, groups in first.groups.items()}
    return {
        "overall": {metric: of for metric, of in whole["groups"][""].items() if metric != "n"},
        "attributes": {
            name: {key: part[key] for key in ("n", "unknown", "left_out", "groups", "gaps")}
            for name, part in attributes.items()
        },
        "figures": {
            model.name: {
                "overall": whole["figures"][m]["overall"],
                "attributes": {name: part["figures"][m]["gaps"] for name, part in attributes.items()},
            }
            for m, model in enumerate(models)
        },
    }


def _compared(
    models: Sequence[SingleLabelModel], groups: Groups, options: ComparisonOptions, done: Callable[[str], None]
) -> dict[str, Any]:
    view = View(
        groups.attribute,
        tuple(
            tuple(attribute_resampling(one, groups, smallest=options.min_group) for one in model.predictions)
            for model in models
        ),
    )
    replicates = view.bootstrap(replicates=options.bootstrap, seed=options.seed)
    differences = Differences(view, replicates)
    found: dict[str, Any] = {
        "groups": {name: {"n": int(n)} for name, n in zip(groups.names, groups.counts(), strict=True)}
    }
    found["left_out"] = [
        name for name, n in zip(groups.names, groups.counts(), strict=True) if 0 < n < options.min_group
    ]
    found |= {"n": int(groups.known.sum()), "unknown": int((~groups.known).sum()), "gaps": {}}
    for other, model in enumerate(models[1:], start=1):
        pairs = paired_seeds(models[0], model)
        swaps = view.swaps(other, pairs, replicates=options.permutations, seed=options.seed)
        beside = Beside(other, pairs, *swaps)
        for metric in view.figures():
            for g, name in enumerate(groups.names):
                record = differences.of_group(metric, g, beside)
                found["groups"][name].setdefault(metric.name, {})[model.name] = record
        for metric in view.gaps():
            record = differences.of_gap(metric, beside)
            found["gaps"].setdefault(metric.name, {})[model.name] = record
    found["figures"] = [model_figures(view, m, replicates[m]) for m in range(len(models))]
    if groups.attribute:
        done(groups.attribute)
    return found
