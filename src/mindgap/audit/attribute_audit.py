"""The audit of one attribute: its groups, its gaps and its gaps per class."""

from __future__ import annotations

import numpy as np

from mindgap.audit.few_cells import CellClusters
from mindgap.audit.gap_records import GapRecords, column
from mindgap.audit.measured import AuditOptions, Measured, measure_attribute
from mindgap.audit.record import NO_SCORES, Record, rate_bounds, value_record
from mindgap.core.groups import Groups
from mindgap.core.small_group import SMALL_GROUP
from mindgap.metrics.class_rate_interval import class_rate_bounds, class_share_bounds
from mindgap.metrics.counts import Floats, Integers
from mindgap.metrics.group_sample import GroupSample
from mindgap.metrics.interval import no_bounds, undefined_note
from mindgap.metrics.metric import AbstractClassRate, class_rates, gap_metrics, group_metrics
from mindgap.metrics.predictions import Predictions
from mindgap.metrics.resampling import Resampling
from mindgap.metrics.share_spread import Share, share_spread, shares_right


def attribute_resampling(predictions: Predictions, groups: Groups, *, smallest: int) -> Resampling:
    """The rows where an attribute is known, ready to be resampled; without a name nothing is compared."""
    return Resampling.of(
        predictions.labels,
        predictions.predicted,
        groups.ids,
        predictions.clusters,
        groups=groups.names,
        classes=predictions.classes,
        probabilities=predictions.probabilities,
        paired=bool(groups.attribute),
        smallest=smallest,
    )


def audit_attribute(predictions: Predictions, groups: Groups, options: AuditOptions) -> Record:
    """The AUDIT entry of one attribute: ``groups``, ``gaps``, ``per_class``, and what a reader must know.

    Rows of unknown group are left out and counted in ``unknown``. ``notes`` lists, per gap, the classes or groups that
    could not be compared, and how many resamples left it undefined; and whether scores were binned for resampling.
    ``left_out`` are the groups that are in no gap as they are under ``min_group``.
    """
    resampling = attribute_resampling(predictions, groups, smallest=options.min_group)
    observed, present = resampling.observed, resampling.compared
    comparable = int(present.sum()) >= 2
    options = options if groups.known.any() else AuditOptions(bootstrap=0, permutations=0)
    measured = measure_attribute(resampling, options, attribute=groups.attribute, gaps=comparable)
    compared, reference = observed.keep(present), resampling.reference.keep(present)
    clusters = CellClusters.of(resampling.rows, groups=observed.counts.groups, classes=resampling.classes)
    gaps = GapRecords(compared, reference, measured, clusters.keep(present))
    shares = shares_right(resampling.rows)
    return {
        "n": int(observed.counts.sizes.sum()),
        "unknown": int((~groups.known).sum()),
        "left_out": [name for name, n in _sizes(resampling).items() if 0 < n < resampling.smallest],
        "groups": {
            name: group_record(
                resampling,
                g,
                measured,
                share=shares[g],
                clusters=int(clusters.by_group[g]),
                by_class=clusters.by_class[g],
            )
            for g, name in enumerate(groups.names)
        },
        "gaps": gaps.overall() if comparable else gaps.undefined(_incomparable(resampling.smallest)),
        "per_class": _per_class(resampling, measured, gaps, clusters) if comparable else {},
        "notes": _notes(resampling, compared, measured) if comparable else _absent(resampling),
    }


def group_record(
    resampling: Resampling, index: int, measured: Measured, *, share: Share, clusters: int, by_class: Integers
) -> Record:
    """The figures of one group: n, one V per group figure, flags; ``by_class`` (C,) are the clusters of each class."""
    observed, reference = resampling.observed, resampling.reference
    counts = observed.counts
    size = int(counts.sizes[index])
    record: Record = {"n": size}
    for metric in group_metrics(resampling.classes):
        value = float(metric.of_groups(observed)[index])
        bounds = rate_bounds(
            metric,
            value,
            reference=float(metric.of_groups(reference)[index]),
            replicates=column(measured.resampled["group", metric.name], index),
            jackknife=_optional_column(measured.jackknife.get(("group", metric.name)), index),
            share=share,
            clusters=clusters,
            rarest=rarest_class(counts.classes, by_class),
            who=f"group {counts.groups[index]!r}",
        )
        reason = metric.reason(observed, index) if observed.has(metric.statistic) else NO_SCORES
        record[metric.name] = value_record(value, bounds, n=size, reason=reason)
    support = counts.support[index]
    lacking = [f"no_positives:{name}" for name, n in zip(counts.classes, support, strict=True) if not n]
    return record | {"flags": (["small"] if size < SMALL_GROUP else []) + lacking}


def _per_class(resampling: Resampling, measured: Measured, gaps: GapRecords, clusters: CellClusters) -> Record:
    """For every class its gaps, and the rates of every group."""
    record = gaps.per_class()
    for metric in class_rates(resampling.classes):
        for name, of_groups in class_rate_records(metric, resampling, measured, clusters).items():
            record[name][metric.name] = of_groups
    return record


def class_rate_records(
    metric: AbstractClassRate, resampling: Resampling, measured: Measured, clusters: CellClusters
) -> dict[str, Record]:
    """A V for every class and group; ``clusters`` are of all groups, compared or not."""
    observed = resampling.observed.counts
    replicates = measured.resampled["rate", metric.name]
    if metric.interval == "exact" and len(replicates):
        spread = share_spread(resampling.rows, of_others=metric.of_others)
        bounds = class_share_bounds(metric, observed, spread, clusters=clusters.of_rate(metric))
    else:
        bounds = class_rate_bounds(metric, observed, replicates)
    rates = metric.rates(observed)
    found: dict[str, Record] = {name: {} for name in observed.classes}
    for g, group in enumerate(observed.groups):
        for k, name in enumerate(observed.classes):
            value = float(rates[g, k])
            few = clusters.of_class_rate(metric, g, k) if len(replicates) and not np.isnan(value) else None
            own = no_bounds(few) if few else bounds[g][k]
            reason = metric.reason(observed, g, k) if np.isnan(value) else ""
            found[name][group] = value_record(value, own, n=metric.rows(observed, g, k), reason=reason)
    return found


def rarest_class(classes: tuple[str, ...], clusters: Integers) -> tuple[str, int]:
    """The class with the fewest clusters, int64 (C,), among those with any, and how many."""
    there = np.flatnonzero(clusters)
    index = there[clusters[there].argmin()] if there.size else 0
    return classes[index], int(clusters[index])


def _notes(resampling: Resampling, compared: GroupSample, measured: Measured) -> dict[str, str]:
    notes: dict[str, str] = {}
    for metric in gap_metrics(resampling.classes):
        observed = getattr(compared, metric.statistic)
        if observed is None:
            continue
        defined = not np.isnan(metric.value(observed, observed))
        left_out = undefined_note(measured.resampled["gap", metric.name]) if defined else None
        if said := [note for note in (metric.note(observed), left_out) if note]:
            notes[metric.name] = "; ".join(said)
    binned = resampling.binned_note()
    return notes | _absent(resampling) | ({"resampling": binned} if binned else {})


def _incomparable(smallest: int) -> str:
    return "fewer than two groups have rows" if smallest == 1 else f"fewer than two groups have {smallest} rows or more"


def _sizes(resampling: Resampling) -> dict[str, int]:
    return dict(zip(resampling.groups, resampling.observed.counts.sizes.astype(int).tolist(), strict=True))


def _absent(resampling: Resampling) -> dict[str, str]:
    """Which groups are in no gap, and why."""
    sizes = _sizes(resampling)
    empty = [name for name, n in sizes.items() if not n]
    small = [f"{name} ({n})" for name, n in sizes.items() if 0 < n < resampling.smallest]
    said = [f"without rows, so in no gap: {', '.join(empty)}"] if empty else []
    said += [f"under {resampling.smallest} rows, so in no gap as asked: {', '.join(small)}"] if small else []
    return {"groups": "; ".join(said)} if said else {}


def _optional_column(replicates: Floats | None, index: int) -> Floats | None:
    return None if replicates is None else column(replicates, index)
