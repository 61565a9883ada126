"""The mean focus of channels that were removed against that of those kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import ShapeError
from mindgap.core.seed import numpy_generator
from mindgap.explain.focus import Focus
from mindgap.explain.focus_records import (
    AT_ONCE,
    FocusOptions,
    Record,
    few_clusters,
    ratios,
    value_record,
    with_floor,
)
from mindgap.metrics.counts import Floats, Integers
from mindgap.metrics.weights import chunk_sizes, draw_weights


def focus_of_removed(
    found: Focus, removed: NDArray[np.bool_], *, clusters: Integers, options: FocusOptions | None = None
) -> Record:
    """Mean focus of the channels that were removed and of those kept, and the difference, removed less kept.

    A channel's focus is the mean over the images on which it is defined, a set's the mean over its channels. A channel
    that is defined on no image, as a dead one, is left out, and so is an image on which none is defined. Intervals are
    of the cluster bootstrap of images, for these channels. The noise floor is of the difference's size when as many
    channels are drawn by chance: what removing any others would have shown.

    Args:
        found: focus (n, C) of ``channel_focus``.
        removed: bool (C,), which channels were removed.
        clusters: int64 (n,), images of one patient or lesion share a number.
        options: how to resample.

    Returns:
        ``removed`` and ``kept``, V = value, low, high, n, reason, where n are channels; ``difference``, V, where n are
        images with a focus, with ``noise_mean``, ``noise_p95`` and ``p_value`` of its size, either way;
        ``without_focus``, channels left out.

    Raises:
        ShapeError: the columns do not fit each other.
    """
    shape = found.values.shape
    if len(shape) != 2 or removed.shape != shape[1:] or clusters.shape != shape[:1]:
        raise ShapeError(
            f"focus is {shape}, removed {removed.shape} and clusters {clusters.shape}; pass (n, C), (C,) and (n,)"
        )
    defined = found.why == 0
    alive, seen = defined.any(axis=0), defined.any(axis=1)
    numbers = np.unique(clusters[seen], return_inverse=True)[1]
    channels = _Channels(found.values[seen][:, alive], removed[alive], numbers.astype(np.int64))
    return channels.record(options or FocusOptions()) | {"without_focus": int((~alive).sum())}


@dataclass(frozen=True, eq=False)
class _Channels:
    """Channels with a focus: float64 (n, C) of images, NaN where undefined; which were removed; clusters 0..K-1."""

    values: Floats
    removed: NDArray[np.bool_]
    clusters: Integers

    def record(self, options: FocusOptions) -> Record:
        observed = self._sets(self.means[None])
        drawn = self._sets(self._resampled(options))
        of_clusters = {"removed": self._clusters_of(self.removed), "kept": self._clusters_of(~self.removed)}
        sizes = {"removed": int(self.removed.sum()), "kept": int((~self.removed).sum())}
        record: Record = {
            name: self._value(
                observed[0, at],
                drawn[:, at],
                n=n,
                reason=f"no channel with a focus was {name}",
                doubt=_few(name, of_clusters[name]),
            )
            for at, (name, n) in enumerate(sizes.items())
        }
        difference, moved = (of[:, 0] - of[:, 1] for of in (observed, drawn))
        missing = "no channel with a focus was " + " or ".join(name for name, n in sizes.items() if not n)
        fewest = min(of_clusters, key=of_clusters.__getitem__)
        doubt = _few(fewest, of_clusters[fewest])
        between = self._value(difference[0], moved, n=len(self.values), reason=missing, doubt=doubt)
        return record | {"difference": with_floor(between, abs(float(difference[0])), self._by_chance(options))}

    @staticmethod
    def _value(value: float, drawn: Floats, *, n: int, reason: str, doubt: str | None) -> Record:
        limits = (-np.inf, np.inf)
        return value_record(float(value), drawn, kind="percentile", limits=limits, n=n, reason=reason, doubt=doubt)

    def _clusters_of(self, chosen: NDArray[np.bool_]) -> int:
        """In how many clusters any of some channels has a focus."""
        return len(np.unique(self.clusters[~np.isnan(self.values[:, chosen]).all(axis=1)]))

    @cached_property
    def means(self) -> Floats:
        """Of every channel, float64 (C,)."""
        defined = ~np.isnan(self.values)
        return ratios(np.where(defined, self.values, 0).sum(axis=0), defined.sum(axis=0).astype(np.float64))

    def _sets(self, means: Floats) -> Floats:
        """Means of the channels removed and of those kept, float64 (R, 2), of channel means (R, C)."""
        weights = np.stack([self.removed, ~self.removed], axis=1).astype(np.float64)
        defined = ~np.isnan(means)  # a resample may have lost every image on which a channel is defined
        return ratios(np.where(defined, means, 0) @ weights, defined.astype(np.float64) @ weights)

    def _resampled(self, options: FocusOptions) -> Floats:
        """Channel means of every replicate, float64 (R, C)."""
        n_clusters, n_channels = int(self.clusters.max(initial=-1)) + 1, self.values.shape[1]
        defined = ~np.isnan(self.values)
        totals, counts = np.zeros((2, n_clusters, n_channels))
        np.add.at(totals, self.clusters, np.where(defined, self.values, 0))
        np.add.at(counts, self.clusters, defined)
        generator, stratum = numpy_generator(options.seed, "channel focus"), np.zeros(n_clusters, dtype=np.int64)
        drawn = [
            ratios(times @ totals, times @ counts)
            for size in chunk_sizes(options.bootstrap if n_clusters else 0, AT_ONCE)
            for times in [draw_weights(stratum, replicates=size, generator=generator).T.astype(np.float64)]
        ]
        return np.concatenate([np.empty((0, n_channels)), *drawn])

    def _by_chance(self, options: FocusOptions) -> Floats:
        """Size of the difference when as many channels are removed by chance, float64 (P,)."""
        n_removed, n_channels = int(self.removed.sum()), len(self.removed)
        if not 0 < n_removed < n_channels:
            return np.empty(0)
        generator = numpy_generator(options.seed, "channel noise")
        shuffled = generator.permuted(np.tile(self.means, (options.permutations, 1)), axis=1)
        return np.abs(shuffled[:, :n_removed].mean(axis=1) - shuffled[:, n_removed:].mean(axis=1))


def _few(name: str, clusters: int) -> str | None:
    return few_clusters(f"the focus of channels {name}", clusters)
