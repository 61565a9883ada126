"""ROC curves of every group and class: areas under them, and the areas between the groups' curves.

Of the sample the areas are exact (``mindgap.metrics.roc``). Of replicates a curve is known at 128 midpoints of the
false positive rate (``mindgap.metrics.level_curves``), where it is exact too (for binned scores: up to the bins); an
area between two curves is the mean of their distance there. Up to 20 groups are compared in pairs, more each with the
rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import Floats, Integers, divide
from mindgap.metrics.roc import Curve, area_between, curve_area, sorted_roc_curve

MOST_PAIRED_GROUPS = 20


@dataclass(frozen=True, eq=False)
class GroupRoc:
    """ROC curves by group and class, one class against the rest; leading axes are replicates.

    Attributes:
        auroc: float64 (..., G, C) in 0..1; NaN without positives or negatives.
        tpr: float32 (..., G, C, 128), true positive rates at midpoints of the false positive rate, NaN for classes
            that not all groups have; (..., 2G, C, 128) with the curves of each group's rest behind, where groups are
            compared with the rest.
        support: float64 (..., G, C), positives.
        sizes: float64 (..., G), rows.
        groups: the G group names.
        classes: the C class names.
        exact: float64 (P, C), exact areas between the curves of each pair; None for replicates.
    """

    auroc: Floats
    tpr: NDArray[np.float32]
    support: Floats
    sizes: Floats
    groups: tuple[str, ...]
    classes: tuple[str, ...]
    exact: Floats | None = None
    _moves: dict[GroupRoc, Floats] = field(default_factory=dict["GroupRoc", Floats], repr=False)

    @property
    def against_rest(self) -> bool:
        """Whether each group is compared with the rest rather than with each other group."""
        return self.tpr.shape[-3] > len(self.groups)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Which curves are compared, as places along the curves' axis of ``tpr``."""
        return pairs_of(len(self.groups), against_rest=self.against_rest)

    @cached_property
    def macro_auroc(self) -> Floats:
        """Float64 (..., G): mean over the classes that have positives and negatives in the group."""
        defined = ~np.isnan(self.auroc)
        total = np.where(defined, self.auroc, 0.0).sum(axis=-1)
        return divide(total, defined.sum(axis=-1).astype(np.float64))

    @cached_property
    def areas(self) -> Floats:
        """Float64 (..., P, C): the area between the curves of each pair."""
        return self.exact if self.exact is not None else self.areas_from(None)

    def areas_from(self, other: GroupRoc | None) -> Floats:
        """Float64 (..., P, C): mean over the grid of |difference of a pair − that of the other|; None is no difference.

        It is the norm whose value on the curves' differences is ABROCA. NaN for classes whose curves are not known.
        """
        areas = np.full((*self.tpr.shape[:-3], len(self.pairs), len(self.classes)), np.nan)
        for k in np.flatnonzero(~np.isnan(self.tpr[..., 0]).all(axis=tuple(range(self.tpr.ndim - 2)))).tolist():
            own = self.tpr[..., k, :]
            if other is not None:
                own = own - other.tpr[..., k, :]
            for p, (a, b) in enumerate(self.pairs):
                difference = own[..., a, :] - own[..., b, :]
                areas[..., p, k] = np.abs(difference, out=difference).mean(axis=-1, dtype=np.float64)
        return areas

    def largest_moves(self, observed: GroupRoc) -> Floats:
        """Float64 (..., C): the largest over pairs of ``areas_from``; asked for over all classes and for each."""
        if observed not in self._moves:
            self._moves[observed] = self.areas_from(observed).max(axis=-2)
        return self._moves[observed]

    def usable(self) -> NDArray[np.bool_]:
        """Bool (..., C): the classes with positives and negatives in every group."""
        return np.all((self.support > 0) & (self.support < self.sizes[..., None]), axis=-2)

    def lost(self, observed: GroupRoc) -> NDArray[np.bool_]:
        """Bool (..., G): replicates in which a group lost a class that it has in the sample."""
        return np.isnan(np.where(np.isnan(observed.auroc), 0.0, self.auroc).sum(axis=-1))

    def of_one_class(self) -> str | None:
        """Why a group that has rows has no area; None where none lacks it, or a group has no row."""
        lacking = np.isnan(self.macro_auroc) & (self.sizes > 0)
        if (self.sizes == 0).any() or not lacking.any():
            return None
        return f"group {self.groups[int(lacking.argmax())]!r} has one class only"

    def keep(self, groups: NDArray[np.bool_]) -> GroupRoc:
        """The curves of some groups, chosen by a bool (G,) mask: those compared, or all with rows."""
        if groups.all():
            return self
        names = tuple(name for name, kept in zip(self.groups, groups, strict=True) if kept)
        curves = np.tile(groups, 2) if self.against_rest else groups
        exact = self.exact
        if exact is not None:
            kept_pairs = [bool(curves[a] and curves[b]) for a, b in self.pairs]
            exact = exact[np.array(kept_pairs, dtype=bool)]
        return GroupRoc(
            auroc=self.auroc[..., groups, :],
            tpr=self.tpr[..., curves, :, :],
            support=self.support[..., groups, :],
            sizes=self.sizes[..., groups],
            groups=names,
            classes=self.classes,
            exact=exact,
        )


def pairs_of(n_groups: int, *, against_rest: bool) -> tuple[tuple[int, int], ...]:
    """All pairs of groups, or each group g with its rest, the curve number G + g."""
    if against_rest:
        return tuple((g, n_groups + g) for g in range(n_groups))
    return tuple(combinations(range(n_groups), 2))


def binning_note(exact: GroupRoc, binned: GroupRoc, *, bins: int) -> str:
    """What binning the scores moves, from the sample's areas without and with it."""
    under, between = (
        float(np.nanmax(np.abs(one - other), initial=0.0))
        for one, other in ((exact.auroc, binned.auroc), (exact.areas, binned.areas))
    )
    return (
        f"scores were resampled on up to {bins} quantile bins; on the sample this moves an AUROC by at most "
        f"{under:.1g} and an area between curves by at most {between:.1g}"
    )


def exact_areas(
    labels: Integers,
    scores: Floats,
    group_ids: Integers,
    *,
    compared: NDArray[np.bool_],
    pairs: tuple[tuple[int, int], ...],
) -> tuple[Floats, Floats]:
    """Areas under and between the curves, exact on all scores.

    Args:
        labels: int64 (n,) true classes.
        scores: float64 (n, C).
        group_ids: int64 (n,) in 0..G-1.
        compared: bool (G,), the groups that are compared; an area with another is NaN.
        pairs: which curves are compared; curve G + g is that of the rest of group g among those compared.

    Returns:
        AUROC, float64 (G, C), and the areas of the pairs, float64 (P, C).
    """
    n_groups, n_classes = len(compared), scores.shape[1]
    wanted = [(p, a, b) for p, (a, b) in enumerate(pairs) if compared[a] and compared[b % n_groups]]
    under, between = np.empty((n_groups, n_classes)), np.full((len(pairs), n_classes), np.nan)
    for k in range(n_classes):
        rows = _Sorted.of(labels == k, scores[:, k], group_ids, n_groups=n_groups)
        curves = [rows.curve(g) for g in range(n_groups)]
        under[:, k] = [curve_area(curve) for curve in curves]
        known = rows if compared.all() else rows.of_groups(compared)
        for p, a, b in wanted:
            other = curves[b] if b < n_groups else known.rest(a)
            between[p, k] = area_between(curves[a], other)
    return under, between


@dataclass(frozen=True, eq=False)
class _Sorted:
    """Rows in the order of their scores, highest first, and where those of each group stand among them."""

    positive: NDArray[np.bool_]
    scores: Floats
    group_ids: Integers
    places: list[Integers]

    @staticmethod
    def of(positive: NDArray[np.bool_], scores: Floats, group_ids: Integers, *, n_groups: int) -> _Sorted:
        order = np.argsort(-scores)  # the order of ties is no matter, and an unstable sort several times faster
        ids = group_ids[order]
        by_group = np.argsort(ids, kind="stable")  # within a group still by score
        starts = np.searchsorted(ids[by_group], np.arange(1, n_groups))
        return _Sorted(positive[order], scores[order], ids, np.split(by_group, starts))

    def of_groups(self, chosen: NDArray[np.bool_]) -> _Sorted:
        """The rows of some groups, bool (G,), in the same order."""
        kept = chosen[self.group_ids]
        return _Sorted(self.positive[kept], self.scores[kept], self.group_ids[kept], [])

    def curve(self, group: int) -> Curve:
        """The curve of one group."""
        rows = self.places[group]
        return sorted_roc_curve(self.positive[rows], self.scores[rows])

    def rest(self, group: int) -> Curve:
        """The curve of all other rows."""
        others = self.group_ids != group
        return sorted_roc_curve(self.positive[others], self.scores[others])
