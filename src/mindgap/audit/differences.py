"""The records of differences between two models: value, interval and p of a swap test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindgap.audit.alike import at, moves_if_alike
from mindgap.audit.attribute_audit import rarest_class
from mindgap.audit.few_cells import CellClusters
from mindgap.audit.paired_measures import Key, Values, View
from mindgap.audit.record import NO_SCORES, Record, number, rate_doubt, value_record
from mindgap.metrics.counts import Floats
from mindgap.metrics.group_sample import GroupSample
from mindgap.metrics.interval import no_bounds
from mindgap.metrics.metric import AbstractGapMetric, AbstractGroupFigure
from mindgap.metrics.paired import two_sided_p
from mindgap.metrics.paired_interval import Moves, difference_interval
from mindgap.metrics.pseudo_clusters import clusters_by_cell, clusters_by_group

Metric = AbstractGroupFigure | AbstractGapMetric[Any]


@dataclass(frozen=True, eq=False)
class Beside:
    """What is known of another model beside the first.

    Attributes:
        other: its number.
        pairs: seeds of the first and of the other model that are compared, by number.
        apart: their difference, mean over pairs, measured as after swaps.
        swapped: the same after swaps.
    """

    other: int
    pairs: Sequence[tuple[int, int]]
    apart: Values
    swapped: Values

    @property
    def members(self) -> list[tuple[int, int]]:
        """Model and seed of everything that is compared."""
        return [(0, a) for a, _ in self.pairs] + [(self.other, b) for _, b in self.pairs]


class Differences:
    """Differences between the first model and the others over one view of the rows.

    Args:
        view: the models' samples.
        replicates: their values on the same resamples, by model and seed.
    """

    def __init__(self, view: View, replicates: tuple[tuple[Values, ...], ...]) -> None:
        self.view, self.replicates = view, replicates
        seeds = [range(len(model)) for model in view.models]
        self.exact = [[view.exact(m, s) for s in of_model] for m, of_model in enumerate(seeds)]
        self.reference = [[view.reference(m, s) for s in of_model] for m, of_model in enumerate(seeds)]
        self.clusters, self.by_class = clusters_by_group(view.any.rows), clusters_by_cell(view.any.rows)
        self.cells = CellClusters.of(view.any.rows, groups=view.any.groups, classes=view.any.classes).keep(view.present)

    def of_group(self, metric: AbstractGroupFigure, index: int, beside: Beside) -> Record:
        """The difference of a group's figure: {value, low, high, n, reason, first, second, p_value, better}."""
        counts = self.view.any.observed.counts
        group = counts.groups[index]
        doubt = rate_doubt(
            metric,
            clusters=int(self.clusters[index]),
            rarest=rarest_class(counts.classes, self.by_class[index]),
            who=f"group {group!r}" if group else "the sample",
        )

        def reason(sample: GroupSample) -> str:
            return metric.reason(sample, index) if sample.has(metric.statistic) else NO_SCORES

        return self._record(metric, index, beside, n=int(counts.sizes[index]), doubt=doubt, reason=reason)

    def of_gap(self, metric: AbstractGapMetric[Any], beside: Beside) -> Record:
        """The difference of a gap, likewise."""
        counts = self.view.any.observed.keep(self.view.present).counts
        doubts = [self.cells.of_groups()]
        for m, s in beside.members:
            statistic = self._statistic(metric, self.view.observed(m, s))
            doubts.append(None if statistic is None else self.cells.of_gap(metric, statistic))

        def reason(sample: GroupSample) -> str:
            statistic = self._statistic(metric, sample)
            return NO_SCORES if statistic is None else metric.reason(statistic)

        doubt = next(filter(None, doubts), None)
        return self._record(metric, None, beside, n=int(counts.sizes.sum()), doubt=doubt, reason=reason)

    def _statistic(self, metric: AbstractGapMetric[Any], sample: GroupSample) -> Any:
        return getattr(sample.keep(self.view.present), metric.statistic)

    def _record(
        self,
        metric: Metric,
        index: int | None,
        beside: Beside,
        *,
        n: int,
        doubt: str | None,
        reason: Callable[[GroupSample], str],
    ) -> Record:
        key = ("gap" if index is None else "group", metric.name)
        values = {(m, s): float(at(self.exact[m][s][key], index)) for m, s in beside.members}
        first = float(np.mean([values[0, a] for a, _ in beside.pairs]))
        second = float(np.mean([values[beside.other, b] for _, b in beside.pairs]))
        moves = [
            self._moves(metric, [member for member in beside.members if member[0] == m], key, index)
            for m in (0, beside.other)
        ]
        bounds = difference_interval(
            second - first, moves[0], moves[1], bends=metric.interval != "percentile", limits=self._limits(metric)
        )
        undefined = [member for member, value in values.items() if np.isnan(value)]
        if doubt and not undefined and len(self.replicates[0][0][key]):
            bounds = no_bounds(doubt)
        why = reason(self.view.observed(*undefined[0])) if undefined else ""
        apart, swapped = at(beside.apart[key], index), at(beside.swapped[key], index)
        return value_record(second - first, bounds, n=n, reason=why) | {
            "first": number(first),
            "second": number(second),
            "p_value": None if undefined else number(two_sided_p(float(apart), swapped)),
            "better": metric.direction,
        }

    def _limits(self, metric: Metric) -> tuple[float, float]:
        """Smallest and largest value that a figure can have with these groups."""
        if isinstance(metric, AbstractGroupFigure):
            return metric.range
        statistic = self._statistic(metric, self.view.any.observed)
        return metric.range if statistic is None else metric.limits(statistic)

    def _moves(self, metric: Metric, members: Sequence[tuple[int, int]], key: Key, index: int | None) -> Moves:
        """How far a model's figure moves in each replicate, mean over its seeds."""
        moved: list[Floats] = []
        alike: list[Floats | None] = []
        for m, s in members:
            replicates, reference = self.replicates[m][s], self.reference[m][s]
            moved.append(at(replicates[key], index) - at(reference[key], index))
            alike.append(moves_if_alike(metric, replicates, reference, index=index, present=self.view.present))
        if all(one is None for one in alike):
            return Moves(np.mean(moved, axis=0))
        either = [own if one is None else one for own, one in zip(moved, alike, strict=True)]
        return Moves(np.mean(moved, axis=0), np.mean(either, axis=0))
