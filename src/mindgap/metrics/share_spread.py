"""How much the clusters of a group differ in a share of their rows, for the interval of that share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.counts import Floats, Integers, divide


@dataclass(frozen=True)
class Share:
    """How clusters differ in the share of their rows that is predicted right.

    Attributes:
        rows: Σ m_i.
        spread: Σ (h_i − p·m_i)² over clusters i, of h_i right ones among m_i rows, p = Σ h_i / Σ m_i.
        clusters: with rows.
        right: clusters with a row that is right.
        wrong: clusters with one that is wrong.
    """

    rows: int
    spread: float
    clusters: int
    right: int
    wrong: int


@dataclass(frozen=True, eq=False)
class _Held:
    """How many ``rows`` have each of m sorted ``keys``, of cluster, group and class; ``cells``: less the cluster."""

    keys: Integers
    rows: Floats
    cells: Integers


def shares_right(rows: ClusteredRows, *, by_group: bool = True) -> tuple[Share, ...]:
    """The share that is right of every group; or of all rows, as one.

    A group of the clusters 1 1 0 and 1 (right: 1) has p = .75 and a spread of (2 − 2.25)² + (1 − .75)² = .125.
    """
    n_groups = rows.n_groups if by_group else 1
    keys = rows.clusters * n_groups + (rows.group_ids if by_group else 0)
    pairs, place = np.unique(keys, return_inverse=True)
    of = np.bincount(place, minlength=len(pairs)).astype(np.float64)
    right = (rows.labels == rows.predicted).astype(np.float64)
    hits = np.bincount(place, weights=right, minlength=len(pairs)).astype(np.float64)
    groups = pairs % n_groups

    def total(values: Floats) -> Floats:
        return np.bincount(groups, weights=values, minlength=n_groups).astype(np.float64)

    spread = total((hits - divide(total(hits), total(of))[groups] * of) ** 2)
    kinds = [total(having.astype(np.float64)) for having in (of > 0, hits > 0, hits < of)]
    return tuple(
        Share(rows=int(n), spread=float(spread[g]), clusters=int(k), right=int(with_right), wrong=int(with_wrong))
        for g, (n, k, with_right, with_wrong) in enumerate(zip(total(of), *kinds, strict=True))
    )


def share_spread(rows: ClusteredRows, *, of_others: bool) -> Floats:
    """Float64 (G, C): Σ_i (h_i − p·m_i)² over clusters i, of a share p = Σ h_i / Σ m_i; NaN without rows.

    The m_i are the cluster's rows of the group that are of the class, and h_i those of them that are predicted it; or,
    ``of_others``, its rows of other classes, and those of them that are predicted the class.
    """
    held = _held(rows, rows.labels)
    if not of_others:
        right = np.flatnonzero(rows.labels == rows.predicted)
        hits = _held(rows, rows.labels, right)
        found = _at(hits, held.keys)
        products = [_sums(rows, held.cells, one) for one in (found * found, found * held.rows, held.rows**2)]
        return _spread(_sums(rows, held.cells, found), _sums(rows, held.cells, held.rows), *products)
    pairs, times = np.unique(rows.clusters * rows.n_groups + rows.group_ids, return_counts=True)
    whole = _Held(pairs, times.astype(np.float64), pairs % rows.n_groups)
    by_group = np.bincount(whole.cells, weights=whole.rows, minlength=rows.n_groups)
    squares = np.bincount(whole.cells, weights=whole.rows**2, minlength=rows.n_groups)
    own = _at(whole, held.keys // rows.n_classes)
    wrong = _held(rows, rows.predicted, np.flatnonzero(rows.labels != rows.predicted))
    others = _at(whole, wrong.keys // rows.n_classes) - _at(held, wrong.keys)
    return _spread(
        _sums(rows, wrong.cells, wrong.rows),
        by_group[:, None] - _sums(rows, held.cells, held.rows),
        _sums(rows, wrong.cells, wrong.rows**2),
        _sums(rows, wrong.cells, wrong.rows * others),
        squares[:, None] - _sums(rows, held.cells, 2 * own * held.rows - held.rows**2),
    )


def _held(rows: ClusteredRows, classes: Integers, chosen: Integers | None = None) -> _Held:
    keys = (rows.clusters * rows.n_groups + rows.group_ids) * rows.n_classes + classes
    found, times = np.unique(keys if chosen is None else keys[chosen], return_counts=True)
    return _Held(found, times.astype(np.float64), found % (rows.n_groups * rows.n_classes))


def _at(held: _Held, keys: Integers) -> Floats:
    """The rows held under some keys, 0 where there are none."""
    if not len(held.keys):
        return np.zeros(len(keys))
    place = np.minimum(np.searchsorted(held.keys, keys), len(held.keys) - 1)
    return np.where(held.keys[place] == keys, held.rows[place], 0.0)


def _sums(rows: ClusteredRows, cells: Integers, values: Floats) -> Floats:
    found = np.bincount(cells, weights=values, minlength=rows.n_groups * rows.n_classes)
    return found.astype(np.float64).reshape(rows.n_groups, rows.n_classes)


def _spread(hits: Floats, of: Floats, hits_squared: Floats, product: Floats, of_squared: Floats) -> Floats:
    share = divide(hits, of)
    return np.maximum(hits_squared - 2 * share * product + share**2 * of_squared, 0.0)
