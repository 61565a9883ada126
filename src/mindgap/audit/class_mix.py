"""How different the class mix of groups is: Cramér's V without the part that chance gives, and its p by clusters.

φ² = χ²/n = Σ_gc n_gc² / (n_g n_c) − 1 and V = sqrt(φ² / min(G − 1, C − 1)) (Cramér 1946). V is above 0 by chance alone:
without any association φ² has the mean (G − 1)(C − 1)/(n − 1). Bergsma (2013, J. Korean Stat. Soc. 42, 323-328) takes
that mean from φ², and from G − 1 and C − 1 what they lose by it. Images of one patient share class and group, so there
are fewer independent rows than images, chance gives more than that, and the χ² table gives far too small a p. Here the
mean is measured instead: whole clusters hand their groups to other clusters of about their size, at random. With
clusters of one image that is Bergsma's estimate and the ordinary permutation test.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, Integers

CHUNK_ENTRIES = 4_000_000
MOST_ENTRIES = 40_000_000
"""Rows times permutations; larger sets get fewer permutations, but 200 at least."""
FEWEST = 200
POOL = 50
"""Clusters of rare sizes are pooled with the next smaller sizes until there are so many to exchange groups among."""


@dataclass(frozen=True)
class Association:
    """How strongly class and group go together.

    Attributes:
        v: Cramér's V less what chance gives, in 0..1; NaN if undefined.
        plain_v: Cramér's V as it is, in 0..1.
        p_value: share of permutations with at least that V, (1 + count) / (1 + permutations).
        n: rows of known group.
        clusters: clusters among them.
        permutations: how many were drawn.
        reason: why V is undefined.
    """

    v: float
    plain_v: float
    p_value: float
    n: int
    clusters: int
    permutations: int
    reason: str | None = None


@dataclass(frozen=True, eq=False)
class _Exchange:
    """Rows sorted by cluster, and how clusters hand their groups to others.

    Attributes:
        order: int64 (n,), the rows as they came, sorted by cluster.
        groups: int64 (n,), the group of every sorted row, in 0..G-1.
        owners: int64 (n,), its cluster in 0..K-1, rising.
        sizes: int64 (K,), rows of each cluster.
    """

    order: Integers
    groups: Integers
    owners: Integers
    sizes: Integers

    @staticmethod
    def of(group_ids: Integers, clusters: Integers) -> _Exchange:
        """The rows of known group, int64 (n,) each, with any numbers."""
        members = np.unique(clusters, return_inverse=True)[1].astype(np.int64)
        order = np.argsort(members, kind="stable")
        groups = np.unique(group_ids, return_inverse=True)[1].astype(np.int64)
        return _Exchange(order, groups[order], members[order], np.bincount(members))

    @property
    def n_groups(self) -> int:
        """G."""
        return int(self.groups.max(initial=-1)) + 1

    def draws(self, permutations: int, generator: np.random.Generator) -> Iterator[Integers]:
        """Groups int64 (r, n) in which each cluster has another's, in the order of its rows, from the start if longer.

        Donor and receiver are of one size but for pooled rare sizes, so the sizes of the groups stay nearly the same.
        Of very large sets fewer are drawn; of fewer than two groups none.
        """
        n = max(len(self.owners), 1)
        drawn = min(permutations, max(FEWEST, MOST_ENTRIES // n)) if self.n_groups > 1 else 0
        chunk = max(1, CHUNK_ENTRIES // n)
        starts = np.cumsum(self.sizes) - self.sizes
        slots = np.arange(len(self.owners)) - starts[self.owners]
        strata = _size_strata(self.sizes)
        for start in range(0, drawn, chunk):
            count = min(chunk, drawn - start)
            donors = np.empty((count, len(self.sizes)), dtype=np.int64)
            for stratum in strata:
                donors[:, stratum] = generator.permuted(np.tile(stratum, (count, 1)), axis=1)
            donor = donors[:, self.owners]
            yield self.groups[starts[donor] + slots % self.sizes[donor]]


def class_mix_association(
    labels: Integers,
    group_ids: Integers,
    clusters: Integers,
    *,
    generator: np.random.Generator,
    permutations: int = 1000,
) -> Association:
    """Cramér's V of class and group over the rows whose group is known (not -1).

    Says nothing of which classes differ, nor whether a difference is one of sampling or of the population.

    Args:
        labels: int64 (n,) class numbers.
        group_ids: int64 (n,) group numbers or -1.
        clusters: int64 (n,) cluster numbers.
        generator: source of the random numbers.
        permutations: how many; fewer for very large sets.

    Example:
        Two groups of 50 images, one of class 0 only and one of class 1 only, each a cluster of its own: plain V is 1.
    """
    known = group_ids >= 0
    classes = np.unique(labels[known], return_inverse=True)[1].astype(np.int64)
    exchange = _Exchange.of(group_ids[known], clusters[known])
    classes = classes[exchange.order]
    permuted = [
        _phi_squared(_tables(given, classes, exchange.n_groups)) for given in exchange.draws(permutations, generator)
    ]
    return _association(_tables(exchange.groups[None], classes, exchange.n_groups)[0], permuted, exchange)


def label_associations(
    labels: Integers,
    group_ids: Integers,
    clusters: Integers,
    *,
    generator: np.random.Generator,
    permutations: int = 1000,
) -> list[Association]:
    """The same for each of L yes-or-no labels, 0/1 (n, L), over the same permutations."""
    known = group_ids >= 0
    exchange = _Exchange.of(group_ids[known], clusters[known])
    ones = labels[known][exchange.order].astype(np.float32)
    permuted = [
        _phi_squared(_label_tables(given, ones, exchange.n_groups)) for given in exchange.draws(permutations, generator)
    ]
    observed = _label_tables(exchange.groups[None], ones, exchange.n_groups)[0]
    return [
        _association(table[:, table.sum(axis=0) > 0], [found[:, k] for found in permuted], exchange)
        for k, table in enumerate(observed)
    ]


def _association(table: Floats, chunks: Sequence[Floats], exchange: _Exchange) -> Association:
    """V of a table (G, C) from the φ² of its permutations, chunks of float64 (r,)."""
    n, clusters = len(exchange.groups), len(exchange.sizes)
    permuted = np.concatenate(chunks) if chunks else np.empty(0)
    if min(table.shape) < 2:
        what = "groups" if table.shape[0] < 2 else "classes"
        return Association(math.nan, math.nan, math.nan, n, clusters, 0, f"fewer than two {what} have images")
    dimensions = [k - 1 for k in table.shape]
    observed = float(_phi_squared(table))
    plain = math.sqrt(min(observed / min(dimensions), 1.0))
    if not len(permuted):
        return Association(math.nan, plain, math.nan, n, clusters, 0, "no permutations were asked for")
    chance = float(permuted.mean())
    # chance = d1·d2 / (independent rows − 1), so Bergsma's d − d² / (rows − 1) is d·(1 − chance·d / (d1·d2))
    left = min(d * (1 - chance * d / math.prod(dimensions)) for d in dimensions)
    return Association(
        v=math.sqrt(min(max(observed - chance, 0.0) / max(left, 1e-12), 1.0)),
        plain_v=plain,
        p_value=(1 + int((permuted >= observed - 1e-12).sum())) / (1 + len(permuted)),
        n=n,
        clusters=clusters,
        permutations=len(permuted),
    )


def _tables(groups: Integers, classes: Integers, n_groups: int) -> Floats:
    """Tables float64 (r, G, C) of groups (r, n) and classes (n,)."""
    wide = int(classes.max(initial=-1)) + 1
    cells = n_groups * wide
    places = groups * wide + classes + np.arange(len(groups))[:, None] * cells
    counts = np.bincount(places.ravel(), minlength=len(groups) * cells)
    return counts.astype(np.float64).reshape(len(groups), n_groups, wide)


def _label_tables(groups: Integers, ones: NDArray[np.float32], n_groups: int) -> Floats:
    """Tables float64 (r, L, G, 2) of groups (r, n) and 0/1 labels (n, L); sums of 0 and 1 are exact in float32."""
    sizes = _tables(groups, np.zeros(groups.shape[1], dtype=np.int64), n_groups)[:, None, :, 0]
    hits = np.stack([(groups == g).astype(np.float32) @ ones for g in range(n_groups)], axis=-1).astype(np.float64)
    return np.stack([sizes - hits, hits], axis=-1)


def _phi_squared(tables: Floats) -> Floats:
    """χ²/n of tables float64 (..., G, C); an empty row or column adds nothing."""
    margins = tables.sum(axis=-1, keepdims=True) * tables.sum(axis=-2, keepdims=True)
    return np.maximum((tables**2 / np.where(margins == 0, 1.0, margins)).sum(axis=(-1, -2)) - 1.0, 0.0)


def _size_strata(sizes: Integers) -> list[NDArray[np.intp]]:
    """Clusters of one size each, the rare sizes pooled from the largest down."""
    strata: list[NDArray[np.intp]] = []
    pool = np.empty(0, dtype=np.intp)
    for size in np.unique(sizes)[::-1]:
        pool = np.concatenate([pool, np.flatnonzero(sizes == size)])
        if len(pool) >= POOL:
            strata.append(pool)
            pool = np.empty(0, dtype=np.intp)
    if len(pool) and strata:
        strata[-1] = np.concatenate([strata[-1], pool])
    elif len(pool):
        strata.append(pool)
    return strata
