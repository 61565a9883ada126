"""The external archive: the best points so far, spread evenly by a grid over their objectives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindgap.tune.dominance import Flags, Floats, Judged, joined, nondominated

Rows = NDArray[np.intp]


class Archive:
    """At most ``capacity`` points of which none dominates another (Coello & Lechuga 2002).

    A grid of ``divisions`` cells per objective spans the members' objectives and moves with them. A cell is denser the
    more members it holds. Leaders come from sparse cells, and while there are too many members, the densest cell loses
    one. Two things are not as in the paper, where members leave a cell at random and a front's ends may be lost: the
    best in each objective stays, as long as there are places, and who leaves is the member nearest to another.

    Attributes:
        positions: float64 (K, D).
        judged: of the members; all have the same violation.
    """

    def __init__(self, *, capacity: int, divisions: int) -> None:
        """An empty archive.

        Args:
            capacity: most members.
            divisions: cells along each objective.
        """
        self.capacity, self.divisions = capacity, divisions
        self.positions: Floats = np.zeros((0, 0))
        self.judged = Judged(np.zeros((0, 0)), np.zeros(0))

    def __len__(self) -> int:
        return len(self.judged)

    def add(self, positions: Floats, points: Judged) -> None:
        """Takes the points that no member dominates, drops the members they dominate, and keeps to the capacity.

        Args:
            positions: float64 (N, D).
            points: their judgement.
        """
        members = len(self)
        pool = joined(self.judged, points) if members else points
        rows = np.flatnonzero(nondominated(pool))
        rows = rows[self._survivors(pool.objectives[rows])]
        old, new = rows[rows < members], rows[rows >= members] - members
        if len(new) == 0 and len(old) == members:
            return
        self.positions = np.concatenate([self.positions[old], positions[new]]) if members else positions[new]
        self.judged = pool[rows]

    def leaders(self, count: int, generator: np.random.Generator) -> Rows:
        """Rows of members to follow, intp (count,): a cell with probability ∝ 1/members, then any of its members."""
        if len(self) == 0:
            return np.zeros(0, dtype=np.intp)
        crowd = crowding(self.cells(self.judged.objectives))
        odds = 1.0 / crowd**2  # 1/crowd for the cell, 1/crowd for the member
        return generator.choice(len(self), size=count, p=odds / odds.sum())

    def cells(self, objectives: Floats) -> Rows:
        """The grid's cell of each point, intp (N, M); what lies outside is in −1 or ``divisions``."""
        low, high = self.judged.objectives.min(axis=0), self.judged.objectives.max(axis=0)
        return _cells(objectives, low, high, self.divisions)

    def _survivors(self, objectives: Floats) -> Rows:
        """Rows that stay, in order."""
        surplus = len(objectives) - self.capacity
        if surplus <= 0:
            return np.arange(len(objectives))
        low, high = objectives.min(axis=0), objectives.max(axis=0)
        _, cell = np.unique(_cells(objectives, low, high, self.divisions), axis=0, return_inverse=True)
        free = ~self._protected(objectives)
        between = _distances((objectives - low) / np.where(high > low, high - low, 1.0))
        stays = np.ones(len(objectives), dtype=np.bool_)
        for _ in range(surplus):
            leaver = self._leaver(cell, stays & free, between)
            stays[leaver] = False
            between[:, leaver] = np.inf
        return np.flatnonzero(stays)

    def _protected(self, objectives: Floats) -> Flags:
        """The best in each objective, bool (N,), as many as there are places."""
        ends = np.zeros(len(objectives), dtype=np.bool_)
        ends[objectives.argmin(axis=0)[: self.capacity]] = True
        return ends

    def _leaver(self, cell: Rows, free: Flags, between: Floats) -> int:
        """Of the free members of the densest cell that of the nearest neighbour; of two such, of the nearest second."""
        rows = np.flatnonzero(free & (cell == np.bincount(cell[free]).argmax()))
        if between.shape[1] < 3:
            return int(rows[0])
        nearest = np.partition(between[rows], 1, axis=1)
        return int(rows[np.lexsort((nearest[:, 1], nearest[:, 0]))[0]])


def crowding(cells: Rows) -> Rows:
    """How many points share each point's cell, itself counted, intp (N,)."""
    _, cell, members = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    return members[cell]


def _cells(objectives: Floats, low: Floats, high: Floats, divisions: int) -> Rows:
    """Cells from 0 to ``divisions`` − 1 between low and high; an objective that does not vary there has one."""
    width, above = high - low, objectives - low
    flat = np.where(above == 0, 0.0, np.copysign(np.inf, above))
    share = np.divide(above, width, out=flat, where=width > 0) * divisions
    share = np.where((objectives == high) & (width > 0), divisions - 1, share)  # the last cell holds its upper edge
    return np.floor(np.clip(share, -1, divisions)).astype(np.intp)


def _distances(places: Floats) -> Floats:
    """Squared distances, float64 (N, N); ∞ of a point to itself."""
    between = np.zeros((len(places), len(places)))
    for place in places.T:
        between += (place[:, None] - place[None, :]) ** 2
    np.fill_diagonal(between, np.inf)
    return between
