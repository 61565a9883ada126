"""ROC curves of the groups of one class, thinned for drawing, and the two that lie furthest apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mindgap.core.groups import Groups
from mindgap.metrics.counts import Floats, Integers
from mindgap.metrics.roc import Bools, Curve, area_between, curve_area, sorted_roc_curve

MOST_POINTS = 200
MOST_PAIRED = 20
"""Groups up to which every pair is compared; above, each is compared with all others, as ABROCA is then."""
REST = "all other groups"


@dataclass(frozen=True)
class GroupCurve:
    """One group's curve for one class.

    Attributes:
        curve: fpr and tpr, at most 200 points; all NaN without one of the two kinds of rows.
        area: the AUROC of the whole curve.
        positives, negatives: images of the class, and of the other classes.
    """

    curve: Curve
    area: float
    positives: int
    negatives: int

    @property
    def defined(self) -> bool:
        """Whether the group has images of the class and of others."""
        return bool(self.positives and self.negatives)

    @property
    def missing(self) -> str:
        """Why there is no curve."""
        return "no image of this class" if not self.positives else "images of this class only"


@dataclass(frozen=True)
class ClassCurves:
    """The curves of every group for one class, and the pair with the largest area between its curves.

    Attributes:
        by_group: curve by group name, in the order of the groups; with many groups the pair's other side is ``REST``.
        pair: two names, or None where fewer than two curves are defined.
    """

    by_group: Mapping[str, GroupCurve]
    pair: tuple[str, str] | None


def class_curves(groups: Groups, *, positive: Bools, scores: Floats, order: Integers) -> ClassCurves:
    """The groups' curves of one class against the rest.

    Args:
        groups: groups of n rows.
        positive: bool (n,), the rows of the class.
        scores: float64 (n,), their probability of it.
        order: int64 (n,), the rows by falling score; shared between attributes, as sorting is what takes the time.
    """
    ids = groups.ids.astype(np.int16 if len(groups.names) < 2**15 else np.int64)[order]  # short numbers sort fast
    positive, scores = positive[order], scores[order]
    by_group = np.argsort(ids, kind="stable")  # keeps the falling scores within a group
    ends = (ids < 0).sum() + np.concatenate([[0], np.cumsum(groups.counts())])
    curves: dict[str, GroupCurve] = {}
    for g, name in enumerate(groups.names):
        rows = by_group[ends[g] : ends[g + 1]]
        if rows.size:
            curves[name] = _group_curve(positive[rows], scores[rows])
    defined = [name for name, found in curves.items() if found.defined]
    if len(defined) < 2:
        return ClassCurves(curves, None)
    if len(defined) <= MOST_PAIRED:
        pairs = combinations(defined, 2)
        return ClassCurves(curves, max(pairs, key=lambda two: area_between(curves[two[0]].curve, curves[two[1]].curve)))
    known = np.flatnonzero(ids >= 0)
    whole = _group_curve(positive[known], scores[known])
    furthest = max(defined, key=lambda name: area_between(curves[name].curve, whole.curve))
    rest = np.flatnonzero((ids >= 0) & (ids != groups.names.index(furthest)))
    curves[REST] = _group_curve(positive[rest], scores[rest])
    return ClassCurves(curves, (furthest, REST))


def _group_curve(positive: Bools, scores: Floats) -> GroupCurve:
    """The curve of rows whose scores do not increase."""
    curve = sorted_roc_curve(positive, scores)
    positives = int(positive.sum())
    return GroupCurve(thinned(curve), curve_area(curve), positives, len(positive) - positives)


def thinned(curve: Curve, *, most: int = MOST_POINTS) -> Curve:
    """At most ``most`` knots of a curve, evenly spaced along its length, so that none left out is visibly missed.

    A curve has length fpr + tpr = 2 (up and to the right), so a left-out knot lies within 2/most, in fpr and tpr
    together, of one that is kept: .01 at 200, under two pixels of a figure.
    """
    fpr, tpr = curve
    if len(fpr) <= most or np.isnan(fpr[0] + tpr[0]):
        return curve
    kept = np.unique(np.searchsorted(fpr + tpr, np.linspace(0.0, 2.0, most)))
    return fpr[kept], tpr[kept]
