"""Several models on the same rows: the same resamples for all, and two models' predictions swapped cluster by cluster.

A swap of the predictions of half of the clusters leaves the labels, the groups and all that the two models say of a
cluster together as they are. If the models were alike, it would give samples as likely as the real one (McNemar 1947
without clusters; Venkatraman & Begg 1996 for ROC curves, whose scores are ranked within each model first, so that
models that score on other scales can be swapped).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats  # pyright: ignore[reportMissingTypeStubs]  (scipy comes without types)

from mindgap.metrics.cluster_types import ClusteredRows, bootstrap_strata
from mindgap.metrics.counts import Floats, Integers
from mindgap.metrics.group_sample import GroupSample
from mindgap.metrics.pseudo_clusters import PseudoClusters
from mindgap.metrics.resampling import Resampling
from mindgap.metrics.score_levels import ScoreLevels, bins_for
from mindgap.metrics.weights import chunk_sizes, draw_weights


def paired_bootstrap(
    models: Sequence[Resampling], *, replicates: int, generator: np.random.Generator
) -> Iterator[tuple[GroupSample, ...]]:
    """Replicates of the cluster bootstrap in chunks, the same clusters drawn for every model.

    Args:
        models: one per model (and seed), of the same rows in the same order.
        replicates: how many in all.
        generator: source of the random numbers.
    """
    strata = bootstrap_strata(models[0].rows)
    pseudo = [PseudoClusters.of(model.rows) for model in models]
    for size in chunk_sizes(replicates, min(model.at_once for model in models)):
        weights = draw_weights(strata, replicates=size, generator=generator)
        # the same made-up clusters too: where no model errs in a group, none is made to differ from the others
        (stream,) = generator.spawn(1)
        samples: list[GroupSample] = []
        for model, made_up in zip(models, pseudo, strict=True):
            samples.append(made_up.into(model.weighted(weights), copy.deepcopy(stream)))
        yield tuple(samples)


@dataclass(frozen=True, eq=False)
class SwappedRows(Resampling):
    """The rows of a first model with those of a second below them, cluster c of the second being number K + c.

    Scores are compared by rank (``levels``), calibration on the probabilities as they are.
    """

    @staticmethod
    def between(first: Resampling, second: Resampling) -> SwappedRows:
        """Of two models on the same rows; without probabilities where either has none."""
        below = first.rows.n_clusters + second.rows.clusters
        rows = ClusteredRows(
            labels=np.concatenate([first.rows.labels, second.rows.labels]),
            predicted=np.concatenate([first.rows.predicted, second.rows.predicted]),
            group_ids=np.concatenate([first.rows.group_ids, second.rows.group_ids]),
            clusters=np.concatenate([first.rows.clusters, below]),
            n_groups=first.rows.n_groups,
            n_classes=first.rows.n_classes,
        )
        chances = None
        if first.probabilities is not None and second.probabilities is not None:
            chances = np.concatenate([first.probabilities, second.probabilities])
        # every group has its rows twice here
        return SwappedRows(rows, first.groups, first.classes, chances, first.paired, 2 * first.smallest)

    @property
    def n_clusters(self) -> int:
        """K, the clusters of either model."""
        return self.rows.n_clusters // 2

    @cached_property
    def levels(self) -> ScoreLevels:
        """Ranks of each model's scores within a group as shares of it, exact or binned.

        Where groups are compared with the rest, the rest's curve mixes groups, so ranks are those among all rows.
        """
        assert self.probabilities is not None  # noqa: S101  (only asked for with scores)
        half = len(self.rows.labels) // 2
        groups = np.zeros(half, dtype=np.int64) if self.against_rest else self.rows.group_ids[:half]
        ranked = np.concatenate([ranks_within(part, groups) for part in np.split(self.probabilities, 2)])
        return ScoreLevels.of(ranked, bins=bins_for(len(ranked), many_groups=self.against_rest))

    def apart(self) -> tuple[GroupSample, GroupSample]:
        """The two models, measured as swapped samples are."""
        first, second = self.swapped(np.zeros((self.n_clusters, 1), dtype=np.bool_))
        return first.replicate(0), second.replicate(0)

    def swapped(self, chosen: np.ndarray) -> tuple[GroupSample, GroupSample]:
        """Replicates of both, bool (K, r) telling which clusters' predictions are swapped."""
        given = chosen.astype(np.int16)
        kept = 1 - given
        return self.weighted(np.concatenate([kept, given])), self.weighted(np.concatenate([given, kept]))


def swaps(
    pairs: Sequence[SwappedRows], *, replicates: int, generator: np.random.Generator
) -> Iterator[tuple[tuple[GroupSample, GroupSample], ...]]:
    """Replicates of pairs of models in chunks, each cluster swapped with probability ½ in all pairs (seeds) alike."""
    for size in chunk_sizes(replicates, min(pair.at_once for pair in pairs)):
        chosen = generator.random((pairs[0].n_clusters, size), dtype=np.float32) < 0.5
        yield tuple(pair.swapped(chosen) for pair in pairs)


def ranks_within(scores: Floats, groups: Integers) -> Floats:
    """Mean ranks of scores (n, C) within the groups (n,), over the group's size: float64 (n, C) in 0..1.

    Scores .1, .4 and .4 of one group become 1/3, 5/6 and 5/6.
    """
    ranked = np.empty_like(scores)
    order = np.argsort(groups, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        ranks: Floats = stats.rankdata(scores[members], axis=0)  # pyright: ignore[reportUnknownMemberType]
        ranked[members] = ranks / max(1, len(members))
    return ranked


def two_sided_p(observed: float, swapped: Floats) -> float:
    """(1 + #{|swapped| ≥ |observed|}) / (1 + P) from float64 (P,); NaN without an observed value or a swap.

    A swap that leaves the difference undefined counts as one that is as large.
    """
    if np.isnan(observed) or not len(swapped):
        return float("nan")
    smaller = np.abs(swapped) < abs(observed) - _EQUAL
    return (1 + len(swapped) - int(smaller.sum())) / (1 + len(swapped))


_EQUAL = 1e-7  # differences that part by rounding alone are as large; a row among a million moves a rate by more
