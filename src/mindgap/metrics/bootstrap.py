"""The cluster bootstrap: whole clusters drawn with replacement within strata, all replicates at once.

A replicate of K clusters is a multinomial draw over the types of clusters. Common types are drawn so; the clusters of
rare types are drawn one by one, which is cheaper for them and the same distribution. A group that is all right or all
wrong, which would be so in every replicate, gets a pseudo-cluster (``mindgap.metrics.pseudo_clusters``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mindgap.metrics.cluster_types import ClusteredRows, ClusterTypes, cluster_types
from mindgap.metrics.counts import Floats, Integers
from mindgap.metrics.pseudo_clusters import PseudoClusters

COMMON = 4
CHUNK_ENTRIES = 4_000_000


def bootstrap_counts(
    rows: ClusteredRows, *, replicates: int, generator: np.random.Generator
) -> Iterator[tuple[Floats, Floats | None]]:
    """Counts of bootstrap replicates, in chunks of float64 (r, G, C, C).

    Beside each chunk the same with the pseudo-clusters of classes, None where no class needs one.

    Strata are the sets of groups a cluster holds, so every replicate has as many clusters of each set as the sample.
    (Sets that a single cluster holds are one stratum, where that cluster would be in every replicate; a stratum of one
    joins the largest.)

    Args:
        rows: the sample.
        replicates: how many in all.
        generator: source of the random numbers.
    """
    types, pseudo = cluster_types(rows), PseudoClusters.of(rows)
    chunk = max(1, min(replicates, CHUNK_ENTRIES // max(len(types.sizes), rows.n_cells)))
    for start in range(0, replicates, chunk):
        weights = draw_types(types, replicates=min(chunk, replicates - start), generator=generator)
        counts = types.contributions.accumulate(weights).reshape(-1, *rows.shape)
        yield counts, pseudo.add(counts, generator)


def draw_types(types: ClusterTypes, *, replicates: int, generator: np.random.Generator) -> Floats:
    """How often each type was drawn, float64 (replicates, T)."""
    weights = np.empty((replicates, len(types.sizes)))
    order = np.argsort(types.strata, kind="stable")
    edges = np.flatnonzero(np.diff(types.strata[order])) + 1
    for members in np.split(order, edges):
        weights[:, members] = _draw_stratum(types.sizes[members], replicates, generator)
    return weights


def _draw_stratum(sizes: Integers, replicates: int, generator: np.random.Generator) -> Integers:
    total = int(sizes.sum())
    common = sizes >= COMMON
    rare = sizes[~common]
    drawn = np.zeros((replicates, len(sizes)), dtype=np.int64)
    chances = np.append(sizes[common], rare.sum()) / total
    shares = generator.multinomial(total, chances, size=replicates)
    drawn[:, common] = shares[:, :-1]
    if rare.size:
        drawn[:, ~common] = _draw_one_by_one(rare, shares[:, -1], generator)
    return drawn


def _draw_one_by_one(sizes: Integers, times: Integers, generator: np.random.Generator) -> Integers:
    type_of_cluster = np.repeat(np.arange(len(sizes)), sizes)
    picked = type_of_cluster[generator.integers(len(type_of_cluster), size=int(times.sum()))]
    picked += np.repeat(np.arange(len(times)) * len(sizes), times)
    return np.bincount(picked, minlength=len(times) * len(sizes)).reshape(len(times), len(sizes))
