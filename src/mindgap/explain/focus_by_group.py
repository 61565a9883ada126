"""The mean focus of every group with its interval, and the gap between groups with its noise floor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mindgap.core.errors import ShapeError
from mindgap.core.groups import Groups
from mindgap.core.seed import numpy_generator
from mindgap.explain.focus import Focus
from mindgap.explain.focus_records import (
    AT_ONCE,
    FocusOptions,
    Record,
    few_clusters,
    ratios,
    tally,
    value_record,
    with_floor,
)
from mindgap.metrics.cluster_types import ClusteredRows, bootstrap_strata
from mindgap.metrics.counts import Floats, Integers
from mindgap.metrics.permuted_units import PermutedUnits
from mindgap.metrics.pseudo_clusters import clusters_by_group
from mindgap.metrics.weights import chunk_sizes, draw_weights

_LIMITS = (0.0, np.inf)


def focus_by_group(
    found: Focus, groups: Groups, *, clusters: Integers, labels: Integers, options: FocusOptions | None = None
) -> Record:
    """Mean focus overall and of every group, and the gap: the largest group mean less the smallest.

    Intervals are of the cluster bootstrap. That of the gap is its norm pivot, as a range is a seminorm; its noise floor
    permutes groups among clusters of the same class, so a group of other classes is no gap by that alone.

    Args:
        found: focus (n,) of the images.
        groups: of the images.
        clusters: int64 (n,), images of one patient or lesion share a number.
        labels: int64 (n,), the images' classes, 0 and up.
        options: how to resample.

    Returns:
        ``attribute``; ``all`` and, by name, ``groups``, each V = value, low, high, n, reason; ``gap``, V with
        ``noise_mean``, ``noise_p95`` and ``p_value``; ``undefined``, images of known group left out, by reason.

    Raises:
        ShapeError: the columns are not all (n,), or a label is negative.
    """
    options = options or FocusOptions()
    shapes = {found.values.shape, groups.ids.shape, clusters.shape, labels.shape}
    if len(shapes) > 1:
        listed = ", ".join(str(shape) for shape in sorted(shapes))
        raise ShapeError(f"focus, groups, clusters and labels are of shapes {listed}; pass one of each per image")
    if labels.min(initial=0) < 0:
        raise ShapeError(f"labels must be 0 and up, got {labels.min()}; leave images without a class out")
    ids = np.where(found.why == 0, groups.ids, -1)
    n_classes = int(labels.max(initial=0)) + 1
    rows = ClusteredRows.of(
        labels, np.zeros_like(labels), ids, clusters, n_groups=len(groups.names), n_classes=n_classes
    )
    sample = _Sample(rows, found.values[ids >= 0], groups)
    left_out = Focus(found.values[groups.known], found.why[groups.known]).undefined()
    return {"attribute": groups.attribute, **sample.record(options), "undefined": left_out}


@dataclass(frozen=True, eq=False)
class _Sample:
    """The images whose group is known and whose focus is defined; ``values`` are float64 (n,)."""

    rows: ClusteredRows
    values: Floats
    groups: Groups

    def record(self, options: FocusOptions) -> Record:
        names, sizes = self.groups.names, np.bincount(self.rows.group_ids, minlength=self.rows.n_groups)
        means, drawn = self.means, self._resampled(options)
        overall, of_all = float(self.values.mean()) if len(self.values) else np.nan, drawn[:, -1]
        of_clusters = clusters_by_group(self.rows)
        every = {
            name: self._value(float(means[g]), drawn[:, g], int(sizes[g]), f"group {name!r}", int(of_clusters[g]))
            for g, name in enumerate(names)
        }
        whole = self._value(overall, of_all, len(self.values), "the set", self.rows.n_clusters)
        return {"all": whole, "groups": every, "gap": self._gap(drawn[:, :-1], of_clusters, options)}

    @staticmethod
    def _value(value: float, drawn: Floats, n: int, who: str, clusters: int) -> Record:
        reason, doubt = f"{who} has no image with a defined focus", few_clusters(who, clusters)
        return value_record(value, drawn, kind="percentile", limits=_LIMITS, n=n, reason=reason, doubt=doubt)

    def _gap(self, drawn: Floats, of_clusters: Integers, options: FocusOptions) -> Record:
        present = of_clusters > 0
        comparable = int(present.sum()) > 1
        gap = float(np.ptp(self.means[present])) if comparable else np.nan
        smallest = int(np.where(present, of_clusters, np.iinfo(np.int64).max).argmin()) if comparable else 0
        doubt = (
            few_clusters(f"group {self.groups.names[smallest]!r}", int(of_clusters[smallest])) if comparable else None
        )
        reason = "fewer than two groups have an image with a defined focus"
        record = value_record(
            gap,
            np.ptp((drawn - self.means)[:, present], axis=1) if comparable else np.empty(0),
            kind="norm_pivot",
            limits=_LIMITS,
            n=len(self.values),
            reason=reason,
            doubt=doubt,
        )
        return with_floor(record, gap, self._permuted(present, options) if comparable else np.empty(0))

    @cached_property
    def means(self) -> Floats:
        """Of every group, float64 (G,); NaN for one without images."""
        ids, size = self.rows.group_ids, self.rows.n_groups
        return ratios(tally(ids, size=size, weights=self.values), tally(ids, size=size))

    def _resampled(self, options: FocusOptions) -> Floats:
        """Means of every group and, last, of all, float64 (R, G + 1)."""
        n_groups, n_clusters = self.rows.n_groups, self.rows.n_clusters
        cells = self.rows.clusters * n_groups + self.rows.group_ids
        shape, size = (n_clusters, n_groups), n_clusters * n_groups
        totals = tally(cells, size=size, weights=self.values).reshape(shape)
        counts = tally(cells, size=size).reshape(shape)
        both = np.concatenate([_and_sum(totals), _and_sum(counts)], axis=1)
        strata, generator = bootstrap_strata(self.rows), numpy_generator(options.seed, "focus", self.groups.attribute)
        drawn = [
            draw_weights(strata, replicates=size, generator=generator).T.astype(np.float64) @ both
            for size in chunk_sizes(options.bootstrap if n_clusters else 0, AT_ONCE)
        ]
        found = np.concatenate([np.empty((0, both.shape[1])), *drawn])
        return ratios(*np.split(found, 2, axis=1))

    def _permuted(self, present: np.ndarray, options: FocusOptions) -> Floats:
        """The gap after each permutation, float64 (P,)."""
        units = PermutedUnits.of(self.rows, within="class")
        totals = tally(units.of_row, size=units.n_units, weights=self.values)
        counts = tally(units.of_row, size=units.n_units)
        return np.concatenate([np.empty(0), *self._gaps(units, totals, counts, np.flatnonzero(present), options)])

    def _gaps(
        self, units: PermutedUnits, totals: Floats, counts: Floats, present: Integers, options: FocusOptions
    ) -> Iterator[Floats]:
        generator = numpy_generator(options.seed, "focus noise", self.groups.attribute)
        for size in chunk_sizes(options.permutations, AT_ONCE):
            drawn = units.draw(replicates=size, generator=generator)
            members = (drawn == group for group in present)
            yield np.ptp([ratios(totals @ member, counts @ member) for member in members], axis=0)


def _and_sum(by_group: Floats) -> Floats:
    return np.concatenate([by_group, by_group.sum(axis=1, keepdims=True)], axis=1)
