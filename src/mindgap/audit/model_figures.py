"""The main figures of one model, for each of its seeds and over them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev

from mindgap.audit.attribute_audit import rarest_class
from mindgap.audit.few_cells import CellClusters
from mindgap.audit.gap_records import GapRecords
from mindgap.audit.measured import Measured
from mindgap.audit.paired_measures import Values, View
from mindgap.audit.record import Record, rate_bounds, value_record
from mindgap.metrics.pseudo_clusters import clusters_by_cell
from mindgap.metrics.share_spread import shares_right

OVERALL = ("accuracy",)
GAPS = ("worst_group_accuracy", "unfairness", "unfairness_standardized", "equalized_odds_abs_mean", "abroca")


def model_figures(view: View, model: int, replicates: Sequence[Values]) -> Record:
    """Accuracy over all rows (``overall``), or the main gaps of an attribute (``gaps``), over the model's seeds."""
    if view.name:
        return {"gaps": _gaps(view, model, replicates)}
    return {"overall": {name: over_seeds(_rates(view, model, replicates, name)) for name in OVERALL}}


def over_seeds(values: Sequence[Record]) -> Record:
    """Mean and standard deviation (n − 1) of the V of several seeds, with the mean ends of their intervals.

    Values .80, .82 and .84 have mean .82 and sd .02. The sd is NaN, so None, for one seed; all is where a seed has no
    value, with its reason.
    """
    numbers = [value["value"] for value in values]
    record: Record = {"n_seeds": len(values), "n": values[0]["n"], "seeds": list(values), "reason": None}
    if any(one is None for one in numbers):
        reason = next(value["reason"] for value in values if value["value"] is None)
        return record | {"mean": None, "sd": None, "low": None, "high": None, "reason": reason}
    ends = {end: [value[end] for value in values] for end in ("low", "high")}
    return record | {
        "mean": mean(numbers),
        "sd": stdev(numbers) if len(numbers) > 1 else None,
        **{end: None if any(one is None for one in of) else mean(of) for end, of in ends.items()},
    }


def _rates(view: View, model: int, replicates: Sequence[Values], name: str) -> list[Record]:
    metric = next(metric for metric in view.figures() if metric.name == name)
    found: list[Record] = []
    for s, values in enumerate(replicates):
        sample = view.models[model][s]
        value, reference = (float(metric.of_groups(one)[0]) for one in (sample.observed, sample.reference))
        moved = values["group", name]
        bounds = rate_bounds(
            metric,
            value,
            reference=reference,
            replicates=moved[:, 0] if moved.ndim == 2 else moved,
            share=shares_right(sample.rows, by_group=False)[0],
            clusters=sample.rows.n_clusters,
            rarest=rarest_class(sample.classes, clusters_by_cell(sample.rows)[0]),
            who="the sample",
        )
        found.append(value_record(value, bounds, n=len(sample.rows.labels), reason=metric.reason(sample.observed, 0)))
    return found


def _gaps(view: View, model: int, replicates: Sequence[Values]) -> Record:
    known = {metric.name: metric for metric in view.gaps()}
    cells = CellClusters.of(view.any.rows, groups=view.any.groups, classes=view.any.classes).keep(view.present)
    found: Record = {}
    for name in (name for name in GAPS if name in known):
        values: list[Record] = []
        for s, of_seed in enumerate(replicates):
            sample = view.models[model][s]
            measured = Measured({("gap", name): of_seed["distance", name]})
            records = GapRecords(
                sample.observed.keep(view.present), sample.reference.keep(view.present), measured, cells
            )
            values.append(records.figure(known[name]))
        found[name] = over_seeds(values)
    return found
