"""Resamples of one sample: whole clusters drawn anew, or group labels permuted; every metric sees the same ones.

Where only predicted classes are known, counts are all there is, and they have shorter ways
(``mindgap.metrics.bootstrap``, ``mindgap.metrics.noise_floor``). With scores, replicates are numbers of times that each
cluster (or, permuted, each unit in each group) occurs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.bootstrap import bootstrap_counts
from mindgap.metrics.cluster_types import ClusteredRows, bootstrap_strata
from mindgap.metrics.counts import Floats, GroupCounts, Integers, count_rows
from mindgap.metrics.group_roc import MOST_PAIRED_GROUPS, GroupRoc, binning_note, exact_areas, pairs_of
from mindgap.metrics.group_sample import GroupSample
from mindgap.metrics.level_curves import GRID, LevelCounts, Single, auroc_of_levels, curves_of_levels
from mindgap.metrics.members import Members
from mindgap.metrics.noise_floor import permuted_counts
from mindgap.metrics.permutation_strata import Within
from mindgap.metrics.permuted_units import PermutedUnits
from mindgap.metrics.pseudo_clusters import PseudoClusters
from mindgap.metrics.reliability import N_BINS, GroupReliability, confidence_bins, reliability_of_rows
from mindgap.metrics.score_levels import ScoreLevels, bins_for
from mindgap.metrics.sparse_counts import Incidence
from mindgap.metrics.tallies import Tallies, Weights
from mindgap.metrics.weights import chunk_sizes, draw_weights

MOST_REPLICATES = 64
CHUNK_ENTRIES = 16_000_000


@dataclass(frozen=True, eq=False)
class Resampling:
    """The rows of known group of one sample, ready to be resampled.

    Attributes:
        rows: labels, predictions, groups and clusters of the rows.
        groups: the G group names.
        classes: the C class names.
        probabilities: float64 (n, C) of these rows, or None where only predicted classes are known.
        paired: whether groups are compared at all; if not, areas between their curves are left out.
        smallest: rows under which a group is not compared.
    """

    rows: ClusteredRows
    groups: tuple[str, ...]
    classes: tuple[str, ...]
    probabilities: Floats | None = None
    paired: bool = True
    smallest: int = 1

    @staticmethod
    def of(
        labels: Integers,
        predicted: Integers,
        group_ids: Integers,
        clusters: Integers,
        *,
        groups: tuple[str, ...],
        classes: tuple[str, ...],
        probabilities: Floats | None = None,
        paired: bool = True,
        smallest: int = 1,
    ) -> Resampling:
        """From (n,) columns; rows whose group id is -1 are left out."""
        rows = ClusteredRows.of(labels, predicted, group_ids, clusters, n_groups=len(groups), n_classes=len(classes))
        chances = None if probabilities is None else probabilities[group_ids >= 0]
        return Resampling(rows, groups, classes, chances, paired, smallest)

    @cached_property
    def observed(self) -> GroupSample:
        """The sample itself, exact."""
        counts = self._counts
        if self.probabilities is None:
            return GroupSample(counts)
        under, between = exact_areas(
            self.rows.labels,
            self.probabilities,
            self.rows.group_ids,
            compared=self.compared,
            pairs=pairs_of(len(self.groups), against_rest=self.against_rest) if self.paired else (),
        )
        curves = self.reference.roc
        roc = None if curves is None else replace(curves, auroc=under, exact=between, _moves={})
        reliability = reliability_of_rows(*self._confidence, self.rows.group_ids, groups=self.groups)
        return GroupSample(counts, roc, reliability)

    @cached_property
    def reference(self) -> GroupSample:
        """The sample measured as replicates are: on score bins where those are, areas on the grid, single precision."""
        if self.probabilities is None:
            return GroupSample(self._counts)
        return self.weighted(np.ones((self.rows.n_clusters, 1), dtype=np.float32)).replicate(0)

    @cached_property
    def against_rest(self) -> bool:
        """Whether each group is compared with the rest of those compared, as there are too many for pairs."""
        with_rows = self.compared & (self._counts.sizes > 0)
        return self.paired and int(with_rows.sum()) > MOST_PAIRED_GROUPS

    @cached_property
    def compared(self) -> NDArray[np.bool_]:
        """Bool (G,): the groups that are compared, those with rows enough."""
        return self._counts.sizes >= self.smallest

    def binned_note(self) -> str | None:
        """What binning the scores for resampling changes on the sample itself; None where no score was binned."""
        exact, binned = self.observed.roc, self.reference.roc
        if exact is None or binned is None or not self.levels.binned:
            return None
        return binning_note(exact, binned, bins=max(self.levels.sizes))

    def bootstrap(self, *, replicates: int, generator: np.random.Generator) -> Iterator[GroupSample]:
        """Replicates of the cluster bootstrap, stratified by a cluster's set of groups, in chunks."""
        if self.probabilities is None:
            for counts, by_class in bootstrap_counts(self.rows, replicates=replicates, generator=generator):
                pseudo = None if by_class is None else self._counts.replicates(by_class)
                yield GroupSample(self._counts.replicates(counts), pseudo=pseudo)
            return
        strata, pseudo = bootstrap_strata(self.rows), PseudoClusters.of(self.rows)
        for size in chunk_sizes(replicates, self.at_once):
            yield pseudo.into(self.weighted(draw_weights(strata, replicates=size, generator=generator)), generator)

    def permutations(
        self,
        *,
        replicates: int,
        generator: np.random.Generator,
        within: Within = "class",
        scores: bool = True,
    ) -> Iterator[GroupSample]:
        """Replicates with group labels permuted among clusters (of the same classes, or of all), in chunks.

        Labels move among the groups compared; the others have no rows in a replicate.

        Args:
            replicates: how many in all.
            generator: source of the random numbers.
            within: whether labels move among clusters of the same classes, or among all.
            scores: whether anything is measured on the scores; without, replicates hold counts alone.
        """
        if not self.compared.all():
            yield from self._of_compared().permutations(
                replicates=replicates, generator=generator, within=within, scores=scores
            )
            return
        if self.probabilities is None or not scores:
            for counts in permuted_counts(self.rows, replicates=replicates, generator=generator, within=within):
                yield GroupSample(self._counts.replicates(counts))
            return
        units = PermutedUnits.of(self.rows, within=within)
        tallies = self._tally(np.zeros_like(self.rows.labels), units.of_row, n_groups=1, n_owners=units.n_units)
        for size in chunk_sizes(replicates, self._most(tallies.n_cells, units.n_units)):
            yield self._permuted(tallies, Members(units.draw(replicates=size, generator=generator), len(self.groups)))

    def _of_compared(self) -> Resampling:
        """The rows of the groups compared, all of which are then compared, empty ones too."""
        rows = self.rows
        ids = np.where(self.compared[rows.group_ids], rows.group_ids, -1)
        known = ids >= 0
        kept = ClusteredRows.of(
            rows.labels, rows.predicted, ids, rows.clusters, n_groups=rows.n_groups, n_classes=rows.n_classes
        )
        chances = None if self.probabilities is None else self.probabilities[known]
        return replace(self, rows=kept, probabilities=chances, smallest=0)

    def jackknife(self, *, blocks: int) -> Iterator[GroupSample]:
        """Replicates that each leave out one of so many blocks of clusters (or one cluster), in chunks."""
        n_clusters = self.rows.n_clusters
        block = np.arange(n_clusters) % max(1, min(blocks, n_clusters))
        n_blocks, start = int(block.max(initial=-1)) + 1, 0
        for size in chunk_sizes(n_blocks, self._most(self._n_cells, n_clusters)):
            yield self.weighted((block[:, None] != start + np.arange(size)).astype(np.float32))
            start += size

    @property
    def at_once(self) -> int:
        """Replicates that ``weighted`` should be given at a time."""
        return self._most(self._n_cells, self.rows.n_clusters)

    def weighted(self, weights: Weights) -> GroupSample:
        """Replicates in which the clusters, numbered as in ``rows``, occur so often, (K, r).

        Weights of 16 bits must be those of a bootstrap, which the sums of small cells are safe for.
        """
        n_groups, n_classes = len(self.groups), len(self.classes)
        if self.probabilities is None:
            totals = self._count_tally.totals(weights)
            return GroupSample(self._counts.replicates(_by_replicate(totals, (n_groups, n_classes, n_classes))))
        tallies, wide = self._tallies, weights.astype(np.float32, copy=False)
        counts = _by_replicate(tallies.counts.totals(wide), (n_groups, n_classes, n_classes))
        surplus = _by_replicate(tallies.surplus.totals(wide), (n_groups, N_BINS))
        return self._sample(counts, lambda k: tallies.levels[k].resampled(weights), surplus)

    @cached_property
    def _counts(self) -> GroupCounts:
        rows = self.rows
        return count_rows(rows.labels, rows.predicted, rows.group_ids, groups=self.groups, classes=self.classes)

    @cached_property
    def _count_tally(self) -> Incidence:
        return Incidence.of(self.rows.cells, self.rows.clusters, shape=(self.rows.n_cells, self.rows.n_clusters))

    @property
    def _n_cells(self) -> int:
        return self.rows.n_cells if self.probabilities is None else self._tallies.n_cells

    @cached_property
    def levels(self) -> ScoreLevels:
        """The rows' score levels, exact or binned."""
        assert self.probabilities is not None  # noqa: S101  (only asked for with scores)
        return ScoreLevels.of(self.probabilities, bins=bins_for(len(self.rows.labels), many_groups=self.against_rest))

    @cached_property
    def _tallies(self) -> Tallies:
        return self._tally(
            self.rows.group_ids, self.rows.clusters, n_groups=len(self.groups), n_owners=self.rows.n_clusters
        )

    def _tally(self, group_ids: Integers, owners: Integers, *, n_groups: int, n_owners: int) -> Tallies:
        rows = self.rows
        assert self.probabilities is not None  # noqa: S101  (only asked for with scores)
        return Tallies.of(
            labels=rows.labels,
            predicted=rows.predicted,
            group_ids=group_ids,
            owners=owners,
            n_groups=n_groups,
            n_classes=rows.n_classes,
            n_owners=n_owners,
            levels=self.levels,
            reliability=self._confidence,
            every_level=self.against_rest,
        )

    @cached_property
    def _confidence(self) -> tuple[Integers, Floats]:
        assert self.probabilities is not None  # noqa: S101  (only asked for with scores)
        return confidence_bins(self.rows.labels, self.rows.predicted, self.probabilities)

    def _most(self, n_cells: int, n_owners: int) -> int:
        curves = len(self.groups) * (2 if self.against_rest else 1) * len(self.classes) * GRID
        return max(1, min(MOST_REPLICATES, CHUNK_ENTRIES // max(n_cells, n_owners, curves)))

    def _permuted(self, tallies: Tallies, members: Members) -> GroupSample:
        """The sample of replicates in which the units are in these groups; nothing compares their reliability."""
        n_groups, n_classes = len(self.groups), len(self.classes)
        totals = members.totals(tallies.counts).reshape(n_groups * n_classes**2, -1)
        counts = _by_replicate(totals, (n_groups, n_classes, n_classes))
        return self._sample(counts, lambda k: tallies.levels[k].regrouped(members))

    def _sample(
        self, counts: Floats, levels_of: Callable[[int], LevelCounts], surplus: Floats | None = None
    ) -> GroupSample:
        """From counts (r, G, C, C), positives and negatives by level of a class, and surplus (r, G, 15)."""
        counted = self._counts.replicates(counts)
        n_curves = len(self.groups) * (2 if self.against_rest else 1)
        auroc = np.empty((len(counts), len(self.groups), len(self.classes)))
        # a class's curves lie together, and in them the replicates, which makes areas twice as fast
        tpr = np.full((len(self.classes), n_curves, GRID, len(counts)), np.nan, dtype=np.float32)
        for k in range(len(self.classes)):
            auroc[:, :, k] = self._auroc(k, levels_of(k), curves=tpr[k])
        roc = GroupRoc(
            auroc=auroc,
            tpr=tpr.transpose(3, 1, 0, 2),
            support=counted.support,
            sizes=counted.sizes,
            groups=self.groups,
            classes=self.classes,
        )
        reliability = None if surplus is None else GroupReliability(surplus, counted.sizes, self.groups)
        return GroupSample(counted, roc, reliability)

    def _auroc(self, index: int, levels: LevelCounts, *, curves: Single) -> Floats:
        """AUROC (r, G); rates on the grid, of the groups and of the rest of each, go into ``curves``."""
        if not self._compared_classes[index]:
            return auroc_of_levels(levels)
        return curves_of_levels(levels.with_rests(self.compared) if self.against_rest else levels, curves)[
            :, : len(self.groups)
        ]

    @cached_property
    def _compared_classes(self) -> NDArray[np.bool_]:
        """Bool (C,): classes with positives and negatives in every group compared, of which curves are needed."""
        counts = self._counts.keep(self.compared & (self._counts.sizes > 0))
        both = (counts.support > 0) & (counts.support < counts.sizes[:, None])
        return np.logical_and(both.all(axis=0), self.paired)


def _by_replicate(totals: Floats, shape: tuple[int, ...]) -> Floats:
    """(r, *shape) in double precision from (cells, r)."""
    return np.ascontiguousarray(totals.T, dtype=np.float64).reshape(-1, *shape)
