"""The records of differences between two models: value, interval and p of a swap test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mindgap.audit.alike import at, moves_if_alike
from mindgap.audit.attribute_audit import gap_doubt, rarest_class
from mindgap.audit.paired_measures import Key, Values, View
from mindgap.audit.record import NO_SCORES, Record, number, rate_doubt, value_record
from mindgap.metrics.counts import Floats
from mindgap.metrics.interval import no_bounds
from mindgap.metrics.metric import AbstractGapMetric, AbstractGroupFigure
from mindgap.metrics.paired import two_sided_p
from mindgap.metrics.paired_interval import Moves, difference_interval
from mindgap.metrics.pseudo_clusters import clusters_by_cell, clusters_by_group

Pairs = Sequence[tuple[int, int]]
Metric = AbstractGroupFigure | AbstractGapMetric[Any]


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

    def of_group(
        self, metric: AbstractGroupFigure, index: int, other: int, pairs: Pairs, swapped: tuple[Values, Values]
    ) -> Record:
        """The difference of a group's figure."""
        observed = self.view.any.observed
        counts = observed.counts
        group = counts.groups[index]
        doubt = rate_doubt(
            metric,
            clusters=int(self.clusters[index]),
            rarest=rarest_class(counts.classes, self.by_class[index]),
            who=f"group {group!r}" if group else "the sample",
        )
        known = observed.has(metric.statistic)
        return self._record(
            metric,
            ("group", metric.name),
            index,
            other,
            pairs,
            swapped,
            n=int(counts.sizes[index]),
            doubt=doubt,
            reason=metric.reason(observed, index) if known else NO_SCORES,
        )

    def of_gap(
        self, metric: AbstractGapMetric[Any], other: int, pairs: Pairs, swapped: tuple[Values, Values]
    ) -> Record:
        """The difference of a gap."""
        compared = self.view.any.observed.keep(self.view.present)
        observed = getattr(compared, metric.statistic)
        doubt = gap_doubt(compared.counts.groups, self.clusters[self.view.present])
        return self._record(
            metric,
            ("gap", metric.name),
            None,
            other,
            pairs,
            swapped,
            n=int(compared.counts.sizes.sum()),
            doubt=doubt or (None if observed is None else metric.no_interval(observed)),
            reason=NO_SCORES if observed is None else metric.reason(observed),
        )

    def _record(
        self,
        metric: Metric,
        key: Key,
        index: int | None,
        other: int,
        pairs: Pairs,
        swapped: tuple[Values, Values],
        *,
        n: int,
        doubt: str | None,
        reason: str,
    ) -> Record:
        """{value, low, high, n, reason, first, second, p_value, better}: first and second are the models' figures."""
        first = float(np.mean([at(self.exact[0][a][key], index) for a, _ in pairs]))
        second = float(np.mean([at(self.exact[other][b][key], index) for _, b in pairs]))
        value = second - first
        bounds = difference_interval(
            value,
            self._moves(metric, 0, [a for a, _ in pairs], key, index),
            self._moves(metric, other, [b for _, b in pairs], key, index),
            bends=metric.interval != "percentile",
        )
        if doubt and not np.isnan(value) and len(self.replicates[0][0][key]):
            bounds = no_bounds(doubt)
        apart, after = (at(values[key], index) for values in swapped)
        p_value = np.nan if np.isnan(value) else two_sided_p(float(apart), after)
        figures = {"first": number(first), "second": number(second)}
        return (
            value_record(value, bounds, n=n, reason=reason)
            | figures
            | {"p_value": number(p_value), "better": metric.direction}
        )

    def _moves(self, metric: Metric, model: int, seeds: Sequence[int], key: Key, index: int | None) -> Moves:
        """How far a model's figure moves in each replicate, mean over its seeds."""
        moved: list[Floats] = []
        alike: list[Floats | None] = []
        for s in seeds:
            replicates, reference = self.replicates[model][s], self.reference[model][s]
            moved.append(at(replicates[key], index) - at(reference[key], index))
            alike.append(moves_if_alike(metric, replicates, reference, index=index, present=self.view.present))
        if all(one is None for one in alike):
            return Moves(np.mean(moved, axis=0))
        either = [own if one is None else one for own, one in zip(moved, alike, strict=True)]
        return Moves(np.mean(moved, axis=0), np.mean(either, axis=0))
