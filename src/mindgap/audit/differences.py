"""The records of differences between two models: value, interval and p of a swap test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mindgap.audit.attribute_audit import gap_doubt, rarest_class
from mindgap.audit.paired_measures import Key, Values, View
from mindgap.audit.record import NO_SCORES, Record, number, rate_doubt, value_record
from mindgap.metrics.counts import Floats
from mindgap.metrics.interval import no_bounds
from mindgap.metrics.metric import AbstractGapMetric, AbstractGroupFigure, AbstractMetric
from mindgap.metrics.paired import two_sided_p
from mindgap.metrics.paired_interval import difference_interval
from mindgap.metrics.pseudo_clusters import clusters_by_cell, clusters_by_group

Pairs = Sequence[tuple[int, int]]


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
        metric: AbstractMetric,
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
        first = float(np.mean([_at(self.exact[0][a][key], index) for a, _ in pairs]))
        second = float(np.mean([_at(self.exact[other][b][key], index) for _, b in pairs]))
        value = second - first
        bounds = difference_interval(
            value,
            self._moved(0, [a for a, _ in pairs], key, index),
            self._moved(other, [b for _, b in pairs], key, index),
            bends=metric.interval != "percentile",
        )
        if doubt and not np.isnan(value) and len(self.replicates[0][0][key]):
            bounds = no_bounds(doubt)
        apart, after = (_at(values[key], index) for values in swapped)
        record = value_record(value, bounds, n=n, reason=reason)
        p_value = two_sided_p(float(apart), after) if not np.isnan(value) else np.nan
        return record | {
            "first": number(first),
            "second": number(second),
            "p_value": number(p_value),
            "better": metric.direction,
        }

    def _moved(self, model: int, seeds: Sequence[int], key: Key, index: int | None) -> Floats:
        """How far a model's figure moves in each replicate, mean over seeds, (R,)."""
        moved = [_at(self.replicates[model][s][key], index) - _at(self.reference[model][s][key], index) for s in seeds]
        return np.mean(moved, axis=0)


def _at(values: Floats, index: int | None) -> Any:
    """One group's values (…), or the values of a gap; as they are without replicates."""
    return values if index is None or not values.ndim or values.shape == (0,) else values[..., index]
