"""What the metrics say of several models on the same rows, on the same resamples, and after swaps between two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindgap.core.seed import numpy_generator
from mindgap.metrics.counts import Floats
from mindgap.metrics.group_sample import GroupSample
from mindgap.metrics.metric import AbstractGapMetric, AbstractGroupFigure, gap_metrics, group_metrics
from mindgap.metrics.paired import SwappedRows, paired_bootstrap, swaps
from mindgap.metrics.resampling import Resampling

Key = tuple[str, str]
"""``group``, ``gap`` or ``distance`` (of a gap or a group's figure, from the sample), and the name of the metric."""
Values = dict[Key, Floats]
Measure = Callable[[GroupSample], Floats]


@dataclass(frozen=True, eq=False)
class View:
    """The rows that are compared: all of them, or those of known group of one attribute.

    Attributes:
        name: the attribute; empty for all rows.
        models: per model one per seed, of the same rows in the same order.
    """

    name: str
    models: tuple[tuple[Resampling, ...], ...]

    @property
    def any(self) -> Resampling:
        """One of them, for what is the same in all."""
        return self.models[0][0]

    @property
    def present(self) -> np.ndarray:
        """Bool (G,), the groups with rows enough; gaps compare these."""
        return self.any.compared

    @property
    def has_gaps(self) -> bool:
        """Whether there are groups to compare."""
        return bool(self.name) and int(self.present.sum()) >= 2

    def observed(self, model: int, seed: int) -> GroupSample:
        """One model's sample, exact, of all groups."""
        return self.models[model][seed].observed

    def figures(self) -> tuple[AbstractGroupFigure, ...]:
        """The group figures of this task."""
        return group_metrics(self.any.classes)

    def gaps(self) -> tuple[AbstractGapMetric[Any], ...]:
        """The gaps of this task."""
        return gap_metrics(self.any.classes) if self.has_gaps else ()

    def exact(self, model: int, seed: int) -> Values:
        """Values of one model: ``group`` (G,) and ``gap`` ()."""
        sample = self.observed(model, seed)
        return {key: measure(sample) for key, measure in self._measures(sample).items()}

    def reference(self, model: int, seed: int) -> Values:
        """The same, measured as replicates are."""
        sample = self.models[model][seed].reference
        return {key: measure(sample) for key, measure in self._measures(sample).items()}

    def bootstrap(self, *, replicates: int, seed: int) -> tuple[tuple[Values, ...], ...]:
        """Per model and seed the values of all replicates, (R, G) and (R,), with the distances of gaps."""
        flat = [one for model in self.models for one in model]
        measures = [self._measures(one.reference) | self._distances(one.reference) for one in flat]
        found: list[dict[Key, list[Floats]]] = [{key: [] for key in of_one} for of_one in measures]
        stream = numpy_generator(seed, "bootstrap", self.name)
        for samples in paired_bootstrap(flat, replicates=replicates, generator=stream) if replicates else ():
            for sample, of_one, parts in zip(samples, measures, found, strict=True):
                for key, measure in of_one.items():
                    parts[key].append(measure(sample))
        joined = iter([_joined(parts) for parts in found])
        return tuple(tuple(next(joined) for _ in model) for model in self.models)

    def swaps(
        self, other: int, pairs: Sequence[tuple[int, int]], *, replicates: int, seed: int
    ) -> tuple[Values, Values]:
        """The difference of another model from the first, mean over pairs of seeds: as it is, and after swaps.

        Args:
            other: number of the other model.
            pairs: seeds of the first and of the other model, by number.
            replicates: how many swaps.
            seed: of the random numbers.
        """
        stacked = [SwappedRows.between(self.models[0][a], self.models[other][b]) for a, b in pairs]
        apart = [pair.apart() for pair in stacked]
        measures = [tuple(self._measures(sample) for sample in pair) for pair in apart]
        observed = _mean_difference(apart, measures)
        found: dict[Key, list[Floats]] = {key: [] for key in observed}
        stream = numpy_generator(seed, "swap", self.name)
        for samples in swaps(stacked, replicates=replicates, generator=stream) if replicates else ():
            for key, values in _mean_difference(samples, measures).items():
                found[key].append(values)
        return observed, _joined(found)

    def _measures(self, reference: GroupSample) -> dict[Key, Measure]:
        measures: dict[Key, Measure] = {
            ("group", metric.name): lambda sample, metric=metric: metric.resampled(sample, reference)
            for metric in self.figures()
        }
        return measures | {("gap", metric.name): self._gap(metric, reference) for metric in self.gaps()}

    def _gap(self, metric: AbstractGapMetric[Any], reference: GroupSample, *, what: str = "value") -> Measure:
        observed = getattr(self._compared(reference), metric.statistic)

        def measured(sample: GroupSample) -> Floats:
            statistic = getattr(self._compared(sample), metric.statistic)
            if statistic is None:
                return np.full(sample.counts.counts.shape[:-3], np.nan)
            return getattr(metric, what)(statistic, observed)

        return measured

    def _distances(self, reference: GroupSample) -> dict[Key, Measure]:
        gaps = [metric for metric in self.gaps() if metric.interval != "percentile"]
        figures = [metric for metric in self.figures() if metric.interval != "percentile"]
        measures: dict[Key, Measure] = {
            ("distance", metric.name): lambda sample, metric=metric: metric.distance(sample, reference)
            for metric in figures
        }
        return measures | {("distance", metric.name): self._gap(metric, reference, what="distance") for metric in gaps}

    def _compared(self, sample: GroupSample) -> GroupSample:
        return sample.keep(self.present)


def _mean_difference(
    samples: Sequence[tuple[GroupSample, GroupSample]],
    measures: Sequence[tuple[Mapping[Key, Measure], ...]],
) -> Values:
    """Second − first, mean over the pairs."""
    keys = measures[0][0]
    return {
        key: np.mean(
            [of[1][key](pair[1]) - of[0][key](pair[0]) for pair, of in zip(samples, measures, strict=True)], axis=0
        )
        for key in keys
    }


def _joined(parts: Mapping[Key, list[Floats]]) -> Values:
    return {key: np.concatenate(values) if values else np.empty(0) for key, values in parts.items()}
