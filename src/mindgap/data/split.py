"""Cluster-disjoint splits and folds, stratified by label and by label × attribute.

Iterative stratification of whole clusters, large ones first. A row counts in several strata: all rows, its class, its
group of each attribute, and its class crossed with each of these. When a cluster with c_f rows in stratum f is placed,
part s lags in f by lag_{f,s} = share_s · placed_f − given_{f,s} rows, and the cluster goes to the part with the largest
Σ_f c_f · lag_{f,s}: the move that keeps Σ_f Σ_s lag² smallest. Time and memory are linear in rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mindgap.core.errors import ConfigError, ShapeError
from mindgap.core.groups import Groups
from mindgap.core.seed import numpy_generator

SPLITS = ("train", "validation", "test")


def cluster_disjoint_split(
    labels: NDArray[np.int64] | NDArray[np.uint8],
    groups: Groups | Sequence[Groups],
    *,
    clusters: NDArray[np.int64],
    shares: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
) -> NDArray[np.object_]:
    """Splits rows into train, validation and test without cutting a cluster.

    Args:
        labels: int64 (n,) classes or uint8 (n, L) 0/1 labels.
        groups: the attributes to stratify by; rows where one is unknown form a stratum of their own.
        clusters: int64 (n,).
        shares: of train, validation and test; they sum to 1.
        seed: of the order in which clusters of one stratum are placed.

    Returns:
        Object (n,): ``train``, ``validation`` or ``test``. Every class and every group is in train; one with a single
        cluster is there only, and one with three or more is in every part that has a share, unless that would take
        the last of another class or group from a part.

    Raises:
        ConfigError: shares are not three numbers in 0..1 that sum to 1, or train has none.
        ShapeError: arrays differ in length.
    """
    checked = check_shares(shares)
    parts, presence = _place_clusters(labels, groups, clusters=clusters, shares=checked, seed=seed)
    _mend(parts, presence, others=[part for part in (1, 2) if checked[part] > 0])
    return np.array(SPLITS, dtype=object)[parts[np.unique(clusters, return_inverse=True)[1]]]


def cluster_folds(
    labels: NDArray[np.int64] | NDArray[np.uint8],
    groups: Groups | Sequence[Groups],
    *,
    clusters: NDArray[np.int64],
    k: int,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Cuts rows into k folds of about equal size and mix without cutting a cluster; int64 (n,), 0..k-1.

    Raises:
        ConfigError: k is below 2 or above the number of clusters.
        ShapeError: arrays differ in length.
    """
    count = len(np.unique(clusters))
    if not 2 <= k <= count:
        raise ConfigError(f"folds={k}: need 2 folds or more and at most one per cluster, of which there are {count}")
    parts, _ = _place_clusters(labels, groups, clusters=clusters, shares=(1.0 / k,) * k, seed=seed)
    return parts[np.unique(clusters, return_inverse=True)[1]]


def check_shares(shares: Sequence[float]) -> tuple[float, ...]:
    """The shares of train, validation and test, if they are that.

    Raises:
        ConfigError: they are not three numbers in 0..1 that sum to 1, or train has none.
    """
    values = tuple(float(share) for share in shares)
    fine = len(values) == len(SPLITS) and all(0 <= value <= 1 for value in values)
    if not fine or not math.isclose(sum(values), 1.0, abs_tol=1e-6) or values[0] == 0:
        shown = ",".join(f"{value:g}" for value in values)
        raise ConfigError(f"split={shown}: need the shares of train, validation and test, summing to 1, as .7,.15,.15")
    return values


def cluster_numbers(names: pd.Series) -> NDArray[np.int64]:
    """int64 (n,): a number per cluster name in order of appearance; every missing name is a cluster of its own."""
    codes, unique = pd.factorize(names)
    numbers = codes.astype(np.int64)
    alone = numbers < 0
    numbers[alone] = len(unique) + np.arange(int(alone.sum()))
    return numbers


@dataclass(frozen=True)
class _Incidence:
    """Which strata the rows of each cluster are in: ``strata[begins[c]:begins[c+1]]``, ``counts`` of rows likewise."""

    begins: NDArray[np.int64]
    strata: NDArray[np.int64]
    counts: NDArray[np.int64]

    def of(self, cluster: int) -> NDArray[np.int64]:
        """The strata of a cluster."""
        return self.strata[self.begins[cluster] : self.begins[cluster + 1]]

    def only(self, kept: NDArray[np.bool_]) -> _Incidence:
        """The same for some strata, bool (strata,), renumbered."""
        stay = kept[self.strata]
        begins = np.append(0, np.cumsum(stay))[self.begins]
        return _Incidence(begins, (np.cumsum(kept) - 1)[self.strata[stay]], self.counts[stay])

    def clusters_by_stratum(self) -> list[NDArray[np.int64]]:
        """The clusters of each stratum."""
        clusters = np.repeat(np.arange(len(self.begins) - 1), np.diff(self.begins))
        order = np.argsort(self.strata, kind="stable")
        ends = np.cumsum(np.bincount(self.strata))[:-1]
        return np.split(clusters[order], ends)


def _place_clusters(
    labels: NDArray[np.int64] | NDArray[np.uint8],
    groups: Groups | Sequence[Groups],
    *,
    clusters: NDArray[np.int64],
    shares: Sequence[float],
    seed: int,
) -> tuple[NDArray[np.int64], _Incidence]:
    """The part of each cluster, int64 (m,), and the incidence of clusters and classes or groups."""
    attributes = (groups,) if isinstance(groups, Groups) else tuple(groups)
    lengths = {len(labels), len(clusters), *(len(attribute.ids) for attribute in attributes)}
    if len(lengths) != 1:
        raise ShapeError(f"labels, clusters and groups must have the same length, got {sorted(lengths)}")
    strata, plain = _strata(labels, attributes)
    incidence = _incidence(strata, np.unique(clusters, return_inverse=True)[1])
    return _greedy(incidence, shares=shares, seed=seed), incidence.only(plain)


def _strata(
    labels: NDArray[np.int64] | NDArray[np.uint8], attributes: Sequence[Groups]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The strata each row counts in, int64 (n, F), and which strata are a class or a group itself, bool (strata,)."""
    classes = _class_codes(labels)
    columns = [(np.zeros(len(labels), dtype=np.int64), False)]
    columns += [(codes, True) for codes in classes]
    for attribute in attributes:
        columns.append((attribute.ids, True))
        width = len(attribute.names) + 1
        columns += [(codes * width + attribute.ids + 1, False) for codes in classes]
    numbered: list[NDArray[np.int64]] = []
    plain: list[bool] = []
    for codes, is_plain in columns:
        unique, inverse = np.unique(codes, return_inverse=True)
        numbered.append(inverse + len(plain))
        plain += [is_plain and bool(code >= 0) for code in unique]
    return np.stack(numbered, axis=1), np.array(plain)


def _class_codes(labels: NDArray[np.int64] | NDArray[np.uint8]) -> list[NDArray[np.int64]]:
    if labels.ndim == 1:
        return [labels.astype(np.int64)]
    return [labels[:, column].astype(np.int64) for column in range(labels.shape[1])]


def _incidence(strata: NDArray[np.int64], members: NDArray[np.int64]) -> _Incidence:
    width = int(strata.max(initial=0)) + 1
    pairs, counts = np.unique((members[:, None] * width + strata).ravel(), return_counts=True)
    begins = np.searchsorted(pairs, np.arange(int(members.max(initial=-1)) + 2) * width)
    return _Incidence(begins, pairs % width, counts)


def _greedy(incidence: _Incidence, *, shares: Sequence[float], seed: int) -> NDArray[np.int64]:
    """The part of each cluster: large clusters first, each to the part where its strata lag most behind their share."""
    begins, strata, counts = incidence.begins.tolist(), incidence.strata.tolist(), incidence.counts.tolist()
    totals = np.bincount(incidence.strata, weights=incidence.counts)
    rarest = np.minimum.reduceat(totals[incidence.strata], incidence.begins[:-1])
    shuffled = numpy_generator("split", seed).random(len(begins) - 1)
    order = np.lexsort((shuffled, rarest, -np.add.reduceat(incidence.counts, incidence.begins[:-1])))
    lag = [[0.0] * len(totals) for _ in shares]
    chosen = [0] * len(order)
    for cluster in order.tolist():
        span = range(begins[cluster], begins[cluster + 1])
        for part, share in zip(lag, shares, strict=True):
            for i in span:
                part[strata[i]] += share * counts[i]
        needs = [sum(counts[i] * part[strata[i]] for i in span) for part in lag]
        chosen[cluster] = best = needs.index(max(needs))
        for i in span:
            lag[best][strata[i]] -= counts[i]
    return np.array(chosen, dtype=np.int64)


def _mend(parts: NDArray[np.int64], presence: _Incidence, *, others: Sequence[int]) -> None:
    """Moves single clusters, in place, until every class and group is in train and, where it can be, in the others."""
    members = presence.clusters_by_stratum()
    held = np.zeros((3, len(members)), dtype=np.int64)
    for stratum, clusters in enumerate(members):
        held[:, stratum] = np.bincount(parts[clusters], minlength=3)
    for part in (*others, 0):
        for stratum in np.argsort([len(clusters) for clusters in members], kind="stable"):
            if held[part, stratum] or (part and len(members[stratum]) < 3):
                continue
            _move_one(parts, presence, members[stratum], held=held, to=part)


def _move_one(
    parts: NDArray[np.int64],
    presence: _Incidence,
    candidates: NDArray[np.int64],
    *,
    held: NDArray[np.int64],
    to: int,
) -> None:
    """Moves the candidate that leaves most behind of its scarcest stratum; to train (0) even if it is the last."""

    def left_behind(cluster: int) -> int:
        return int(held[parts[cluster], presence.of(cluster)].min()) - 1

    best = max(candidates.tolist(), key=left_behind)
    if to and left_behind(best) < 1:
        return
    strata = presence.of(best)
    held[parts[best], strata] -= 1
    held[to, strata] += 1
    parts[best] = to
