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
from collections.abc import Iterator
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
    classes = np.unique(labels[known], return_inverse=True)[1]
    groups = np.unique(group_ids[known], return_inverse=True)[1]
    members = np.unique(clusters[known], return_inverse=True)[1]
    n, n_clusters = len(classes), int(members.max(initial=-1)) + 1
    wide = (int(groups.max(initial=-1)) + 1, int(classes.max(initial=-1)) + 1)
    if min(wide) < 2:
        what = "groups" if wide[0] < 2 else "classes"
        return Association(math.nan, math.nan, math.nan, n, n_clusters, 0, f"fewer than two {what} have images")
    free = (wide[0] - 1) * (wide[1] - 1)
    drawn = min(permutations, max(FEWEST, MOST_ENTRIES // n))
    observed = float(_phi_squared(_table(groups, classes, wide)))
    least = min(wide) - 1
    plain = math.sqrt(min(observed / least, 1.0))
    if not drawn:
        return Association(math.nan, plain, math.nan, n, n_clusters, 0, "no permutations were asked for")
    permuted = np.concatenate(
        [_phi_squared(tables) for tables in _permuted_tables(groups, classes, members, wide, drawn, generator)]
    )
    chance = float(permuted.mean())
    # chance = free / (independent rows − 1), so its share of a dimension k − 1 is chance·(k − 1)/other dimension
    effective = [(k - 1) * (1 - chance * (k - 1) / free) for k in wide]
    return Association(
        v=math.sqrt(min(max(observed - chance, 0.0) / max(min(effective), 1e-12), 1.0)),
        plain_v=plain,
        p_value=(1 + int((permuted >= observed - 1e-12).sum())) / (1 + drawn),
        n=n,
        clusters=n_clusters,
        permutations=drawn,
    )


def _table(groups: Integers, classes: Integers, wide: tuple[int, int]) -> Floats:
    return np.bincount(groups * wide[1] + classes, minlength=wide[0] * wide[1]).astype(np.float64).reshape(wide)


def _phi_squared(tables: Floats) -> Floats:
    """χ²/n of tables float64 (..., G, C); an empty row or column adds nothing."""
    margins = tables.sum(axis=-1, keepdims=True) * tables.sum(axis=-2, keepdims=True)
    return np.maximum((tables**2 / np.where(margins == 0, 1.0, margins)).sum(axis=(-1, -2)) - 1.0, 0.0)


def _permuted_tables(
    groups: Integers,
    classes: Integers,
    members: Integers,
    wide: tuple[int, int],
    permutations: int,
    generator: np.random.Generator,
) -> Iterator[Floats]:
    """Tables (r, G, C) in which each cluster has another's groups, in the order of its rows, from the start if longer.

    Donor and receiver are of one size but for pooled rare sizes, so the sizes of the groups stay nearly the same.
    """
    order = np.argsort(members, kind="stable")
    owners, groups, classes = members[order], groups[order], classes[order]
    sizes = np.bincount(owners)
    starts = np.cumsum(sizes) - sizes
    slots = np.arange(len(owners)) - starts[owners]
    strata = _size_strata(sizes)
    cells = wide[0] * wide[1]
    chunk = max(1, CHUNK_ENTRIES // max(len(owners), cells))
    for start in range(0, permutations, chunk):
        count = min(chunk, permutations - start)
        donors = np.empty((count, len(sizes)), dtype=np.int64)
        for stratum in strata:
            donors[:, stratum] = generator.permuted(np.tile(stratum, (count, 1)), axis=1)
        donor = donors[:, owners]
        given = groups[starts[donor] + slots % sizes[donor]]
        places = given * wide[1] + classes + np.arange(count)[:, None] * cells
        yield np.bincount(places.ravel(), minlength=count * cells).astype(np.float64).reshape(count, *wide)


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
