"""Every metric of every resample of one attribute, gathered once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from mindgap.core.seed import numpy_generator
from mindgap.metrics.counts import Floats
from mindgap.metrics.group_sample import ON_COUNTS, GroupSample
from mindgap.metrics.metric import (
    AbstractClassGap,
    AbstractClassRate,
    AbstractGapMetric,
    AbstractGroupFigure,
    class_rates,
    gap_metrics,
    group_metrics,
)
from mindgap.metrics.permutation_strata import Within
from mindgap.metrics.resampling import Resampling

IntervalName = Literal["percentile", "bca"]
FloorName = Literal["within-class", "all-classes"]
Measure = Callable[[GroupSample], Floats]

WITHIN: dict[FloorName, Within] = {"within-class": "class", "all-classes": "all"}
JACKKNIFE_BLOCKS = 1000


@dataclass(frozen=True)
class AuditOptions:
    """How an audit resamples.

    Attributes:
        bootstrap: replicates behind each interval.
        permutations: permutations behind each noise floor.
        seed: of both.
        interval: ``percentile``, or ``bca`` in its place.
        floor: whether permuted labels keep the case mix (``within-class``) or not (``all-classes``).
        min_group: rows under which a group is in no gap.
    """

    bootstrap: int = 2000
    permutations: int = 1000
    seed: int = 0
    interval: IntervalName = "percentile"
    floor: FloorName = "within-class"
    min_group: int = 1


@dataclass(frozen=True, eq=False)
class Measured:
    """What the metrics say of a sample and of its resamples, by (kind, metric name), each float64 (R, ...).

    Attributes:
        resampled: ``group`` figures (R, G) of replicates, or their distances; ``gap`` and ``class`` values or
            distances, ``rise`` where a value may rise further than it falls; ``rate`` of every class (R, G, C).
        jackknife: ``group`` figures (m, G) without a block of clusters each; empty unless asked for.
        permuted: ``gap`` and ``class`` values.
    """

    resampled: Mapping[Any, Floats]
    jackknife: Mapping[Any, Floats] = field(default_factory=dict[Any, Floats])
    permuted: Mapping[Any, Floats] = field(default_factory=dict[Any, Floats])


def measure_groups(resampling: Resampling, options: AuditOptions, *, stream: str) -> Measured:
    """The group figures of a sample's resamples alone; ``stream`` names the random numbers."""
    measures = _group_measures(resampling.reference)
    replicates = resampling.bootstrap(
        replicates=options.bootstrap, generator=numpy_generator(options.seed, "bootstrap", stream)
    )
    return Measured(collect(replicates, measures), _jackknife(resampling, options))


def measure_attribute(resampling: Resampling, options: AuditOptions, *, attribute: str, gaps: bool) -> Measured:
    """The group figures of an attribute's resamples, and the gaps between its groups.

    Args:
        resampling: the rows where the attribute is known.
        options: how to resample.
        attribute: its name, which names the random numbers.
        gaps: whether there is anything to compare.
    """
    present = resampling.compared
    compared = resampling.reference.keep(present)
    known = tuple(m for m in gap_metrics(resampling.classes) if gaps and compared.has(m.statistic))
    measures = _group_measures(resampling.reference) | _on_present(present, _bootstrap_measures(known, compared))
    measures |= {("rate", rate.name): _rate_measure(rate) for rate in class_rates(resampling.classes)}
    replicates = resampling.bootstrap(
        replicates=options.bootstrap, generator=numpy_generator(options.seed, "bootstrap", attribute)
    )
    permutations = resampling.permutations(
        replicates=options.permutations if gaps else 0,
        generator=numpy_generator(options.seed, "noise", attribute),
        within=WITHIN[options.floor],
        scores=any(metric.statistic not in ON_COUNTS and _is_defined(metric, compared) for metric in known),
    )
    return Measured(
        collect(replicates, measures),
        _jackknife(resampling, options),
        collect(permutations, _on_present(present, _permutation_measures(known, compared))),
    )


def _is_defined(metric: AbstractGapMetric[Any], compared: GroupSample) -> bool:
    observed = getattr(compared, metric.statistic)
    return not bool(np.isnan(metric.value(observed, observed)))


def collect(chunks: Iterator[GroupSample], measures: Mapping[Any, Measure]) -> dict[Any, Floats]:
    """Every measure of all replicates, float64 (R, ...); (0,) without replicates."""
    found: dict[Any, list[Floats]] = {key: [] for key in measures}
    for sample in chunks:
        for key, measure in measures.items():
            found[key].append(measure(sample))
    return {key: np.concatenate(parts) if parts else np.empty(0) for key, parts in found.items()}


def _jackknife(resampling: Resampling, options: AuditOptions) -> dict[Any, Floats]:
    if options.interval != "bca" or not options.bootstrap:
        return {}
    return collect(resampling.jackknife(blocks=JACKKNIFE_BLOCKS), _group_measures(resampling.reference))


def _group_measures(reference: GroupSample) -> dict[Any, Measure]:
    known = group_metrics(reference.counts.classes)
    return {("group", metric.name): _group_measure(metric, reference) for metric in known}


def _group_measure(metric: AbstractGroupFigure, reference: GroupSample) -> Measure:
    measure = metric.resampled if metric.interval == "percentile" else metric.distance
    return lambda sample: measure(sample, reference)


def _rate_measure(metric: AbstractClassRate) -> Measure:
    return lambda sample: metric.rates(sample.counts)


def _bootstrap_measures(gaps: tuple[AbstractGapMetric[Any], ...], compared: GroupSample) -> dict[Any, Measure]:
    measures: dict[Any, Measure] = {}
    for metric in gaps:
        moved = metric.value if metric.interval == "percentile" else metric.distance
        measures["gap", metric.name] = _gap_measure(moved, metric, compared)
        if metric.interval == "log":
            measures["rise", metric.name] = _gap_measure(metric.upper_distance, metric, compared)
        if isinstance(metric, AbstractClassGap):
            measures["class", metric.name] = _gap_measure(metric.class_distance, metric, compared)
    return measures


def _permutation_measures(gaps: tuple[AbstractGapMetric[Any], ...], compared: GroupSample) -> dict[Any, Measure]:
    measures: dict[Any, Measure] = {}
    for metric in gaps:
        measures["gap", metric.name] = _gap_measure(metric.value, metric, compared)
        if isinstance(metric, AbstractClassGap):
            measures["class", metric.name] = _gap_measure(metric.class_value, metric, compared)
    return measures


def _gap_measure(
    measure: Callable[[Any, Any], Floats], metric: AbstractGapMetric[Any], compared: GroupSample
) -> Measure:
    observed = getattr(compared, metric.statistic)

    def measured(sample: GroupSample) -> Floats:
        statistic = getattr(sample, metric.statistic)
        if statistic is None:
            return np.full(sample.counts.counts.shape[:-3], np.nan)
        return measure(statistic, observed)

    return measured


def _on_present(present: np.ndarray, measures: dict[Any, Measure]) -> dict[Any, Measure]:
    if present.all():
        return measures
    return {key: _keeping(present, measure) for key, measure in measures.items()}


def _keeping(present: np.ndarray, measure: Measure) -> Measure:
    return lambda sample: measure(sample.keep(present))
