"""The noise floor: what a gap would be if the group had no effect, from permuted group labels.

Group labels move among the clusters of one stratum (``mindgap.metrics.permutation_strata``): the case mix stays and no
cluster is broken. How many clusters of each outcome type receive each pattern of groups is a random table with fixed
margins, drawn for all replicates at once by hypergeometric draws; with too many types for that, patterns are shuffled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.counts import Floats, Integers
from mindgap.metrics.metric import Direction
from mindgap.metrics.permutation_strata import Stratum, Within, permutation_strata
from mindgap.metrics.sparse_counts import SparseCounts

ADVERSE_TAIL = 0.95
CHUNK_ENTRIES = 4_000_000
_NS_CALL, _NS_DRAW, _NS_SHUFFLE, _NS_ROW = 15_000, 90, 14, 8  # measured, to choose between tables and shuffling
_EQUAL = 1e-12  # permuted values that differ by rounding alone are as adverse as the observed one

Floor = tuple[float, float, float]


def permuted_counts(
    rows: ClusteredRows, *, replicates: int, generator: np.random.Generator, within: Within = "class"
) -> Iterator[Floats]:
    """Counts after permuting group labels among the clusters of a stratum, in chunks of float64 (r, G, C, C).

    Args:
        rows: the sample.
        replicates: how many permutations in all.
        generator: source of the random numbers.
        within: whether labels move among clusters of the same classes, or among all.
    """
    moving, fixed = permutation_strata(rows, within=within)
    chunk = max(1, min(replicates, CHUNK_ENTRIES // rows.n_cells))
    for start in range(0, replicates, chunk):
        size = min(chunk, replicates - start)
        counts = np.tile(fixed, (size, 1))
        for stratum in moving:
            permute = _by_tables if _prefers_tables(stratum, size) else _by_shuffling
            counts[:, stratum.columns.ravel()] += permute(stratum, size, generator)
        yield counts.reshape(size, *rows.shape)


def noise_floor(observed: float, permuted: Floats, *, direction: Direction) -> Floor:
    """Mean and adverse 95 % of the permuted values, float64 (P,), and the one-sided p-value of the observed one.

    p = (1 + #{permuted at least as adverse}) / (1 + P); a permutation that leaves the metric undefined counts as such.
    All three are NaN if the observed value is, or if nothing was permuted.
    """
    defined = permuted[~np.isnan(permuted)]
    if math.isnan(observed) or not len(defined):
        return math.nan, math.nan, math.nan
    smaller_is_better = direction == "smaller"
    tail = ADVERSE_TAIL if smaller_is_better else 1 - ADVERSE_TAIL
    milder = permuted < observed - _EQUAL if smaller_is_better else permuted > observed + _EQUAL
    p_value = (1 + len(permuted) - int(milder.sum())) / (1 + len(permuted))
    return float(defined.mean()), float(np.quantile(defined, tail)), p_value


def draw_tables(
    row_totals: Integers, column_totals: Integers, *, replicates: int, generator: np.random.Generator
) -> Integers:
    """Random contingency tables with fixed margins, int64 (replicates, T, P): a random matching's counts.

    Args:
        row_totals: int64 (T,).
        column_totals: int64 (P,), with the same sum.
        replicates: how many tables.
        generator: source of the random numbers.
    """
    tables = np.zeros((replicates, len(row_totals), len(column_totals)), dtype=np.int64)
    remaining = np.tile(row_totals, (replicates, 1))
    for column, total in enumerate(column_totals[:-1].tolist()):
        left = np.full(replicates, total)
        others = remaining.sum(axis=1)
        for row in range(len(row_totals) - 1):
            others -= remaining[:, row]
            drawn = generator.hypergeometric(remaining[:, row], others, left)
            tables[:, row, column] = drawn
            left -= drawn
        tables[:, -1, column] = left
        remaining -= tables[:, :, column]
    tables[:, :, -1] = remaining
    return tables


def _prefers_tables(stratum: Stratum, replicates: int) -> bool:
    draws = (stratum.n_outcomes - 1) * (stratum.n_patterns - 1)
    by_tables = draws * (_NS_CALL + replicates * _NS_DRAW)
    by_shuffling = replicates * (len(stratum.outcomes) * _NS_SHUFFLE + len(stratum.row_cells) * _NS_ROW)
    return by_tables < by_shuffling + _NS_CALL


def _by_tables(stratum: Stratum, replicates: int, generator: np.random.Generator) -> Floats:
    """Counts of the stratum's columns, float64 (r, G·U), from random tables."""
    tables = draw_tables(
        np.bincount(stratum.outcomes), np.bincount(stratum.patterns), replicates=replicates, generator=generator
    )
    return _contributions(stratum).accumulate(tables.reshape(replicates, -1).astype(np.float64))


def _contributions(stratum: Stratum) -> SparseCounts:
    """(T·P, G·U): what a cluster of each outcome type adds when it has each pattern."""
    representative = np.unique(stratum.outcomes, return_index=True)[1]
    type_of_cluster = np.full(len(stratum.outcomes), -1)
    type_of_cluster[representative] = np.arange(len(representative))
    types = type_of_cluster[stratum.row_clusters]
    used = types >= 0
    groups = stratum.pattern_groups[:, stratum.row_slots[used]]  # (P, rows of the representatives)
    cells = groups * stratum.columns.shape[1] + stratum.row_cells[used]
    places = types[used] * stratum.n_patterns + np.arange(stratum.n_patterns)[:, None]
    shape = (len(representative) * stratum.n_patterns, stratum.columns.size)
    return SparseCounts.of(places, cells, np.ones_like(cells), shape=shape)


def _by_shuffling(stratum: Stratum, replicates: int, generator: np.random.Generator) -> Floats:
    """Counts of the stratum's columns, float64 (r, G·U), from shuffled patterns."""
    width = stratum.columns.size
    counts = np.empty((replicates, width))
    chunk = max(1, CHUNK_ENTRIES // max(len(stratum.row_cells), width))
    for start in range(0, replicates, chunk):
        size = min(chunk, replicates - start)
        patterns = generator.permuted(np.tile(stratum.patterns, (size, 1)), axis=1)
        groups = stratum.pattern_groups[patterns[:, stratum.row_clusters], stratum.row_slots]
        cells = groups * stratum.columns.shape[1] + stratum.row_cells
        cells += np.arange(size)[:, None] * width
        counts[start : start + size] = np.bincount(cells.ravel(), minlength=size * width).reshape(size, width)
    return counts
