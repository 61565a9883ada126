"""The problem that an optimiser solves: from points to heads to objectives, for a whole swarm at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from mindgap.core.errors import ConfigError, DataError
from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.tune.cells import Cells
from mindgap.tune.head import CHUNK_FLOATS, AbstractHead, LinearHead, as_tensor
from mindgap.tune.objectives import Objectives, objective
from mindgap.tune.subspace import Subspace, random_subspace
from mindgap.tune.trained_head import REACH, TrainedHead
from mindgap.tune.weighting import Weights, make_weighting


@dataclass(frozen=True, eq=False)
class HeadProblem:
    """Heads on cached features, and the rows that they are judged on.

    Attributes:
        head: the shape of the heads.
        inputs: float32 (n, F), what they read.
        cells: group and class of the n rows.
        start: float64 (D,), the point that is the trained head.
        spread: float64 (D,), how far from it first points lie.
        subspace: of which points are offsets; None if points are heads.
    """

    head: AbstractHead
    inputs: Tensor
    cells: Cells
    start: Floats
    spread: Floats
    subspace: Subspace | None = None

    def heads(self, points: Floats) -> Floats:
        """The heads, float64 (P, D'), of points (P, D)."""
        return points if self.subspace is None else self.subspace.expand(points)

    def counts(self, points: Floats) -> Floats:
        """Confusion counts of every point, float64 (P, T, G, K, K); see ``Cells.counts``."""
        at_once = max(1, CHUNK_FLOATS // self.head.dim)
        parts = (points[begin : begin + at_once] for begin in range(0, len(points), at_once))
        found = [self.cells.counts(self.head, as_tensor(self.heads(part), self.inputs), self.inputs) for part in parts]
        return np.concatenate(found)

    def figures(self, names: tuple[str, ...], points: Floats) -> Floats:
        """Metrics as objectives, float64 (P, T, M), of every point and task."""
        counts = self.counts(points)
        return np.stack([_of_task(names, counts, self.cells, task) for task in range(self.cells.tasks)], axis=1)


@dataclass(frozen=True, eq=False)
class TaskObjectives:
    """Objectives of one label, or of the classes of a single-label task; smaller is better."""

    problem: HeadProblem
    objectives: Objectives

    def __call__(self, points: Floats) -> Floats:
        """Float64 (P, M) of points (P, D)."""
        return self.problem.figures(self.objectives.names, points)[:, 0]


@dataclass(frozen=True, eq=False)
class LabelsObjectives:
    """Objectives of swarms of linear heads, one swarm per label, which are judged together.

    The features are then read once for all of them, and a matrix product with more heads in it is faster per head. Each
    swarm is given what it would be given alone, but for the rounding of float32.

    Attributes:
        problem: of all the labels; its head is linear, and points are heads.
        objectives: of every label.
    """

    problem: HeadProblem
    objectives: Objectives

    def __post_init__(self) -> None:
        if not isinstance(self.problem.head, LinearHead) or self.problem.subspace is not None:
            raise ConfigError("labels are judged together with linear heads outside a subspace; judge them one by one")

    def split(self, numbers: Floats) -> Floats:
        """Of all labels' head or spread, float64 (L · D,), each label's, float64 (L, D)."""
        return numbers.reshape(self.problem.cells.tasks, -1)

    def __call__(self, points: Sequence[Floats]) -> list[Floats]:
        """Float64 (P, M) per label, of as many points, float64 (P, D) per label."""
        figures = self.problem.figures(self.objectives.names, np.concatenate(list(points), axis=1))
        return list(np.moveaxis(figures, 1, 0))


class DynamicObjectives:
    """Two weighted sums over all labels of one head; see ``DynamicWeighting``."""

    def __init__(self, problem: HeadProblem, *, gap: str = "uei", weights: Weights = "own") -> None:
        """Judges the trained head first.

        Args:
            problem: of several labels.
            gap: the metric that is U in the sums.
            weights: of which figures the weights are.
        """
        self._problem = problem
        self._names = ("accuracy", gap)
        accuracy, gaps = self._figures(problem.start[None])
        self._weighting = make_weighting(weights, accuracy[0], gaps[0])

    def __call__(self, points: Floats) -> Floats:
        """Float64 (P, 2) of points (P, D): accuracy's sum, which is negative, and the gap's."""
        return self._weighting.of(*self._figures(points))

    def _figures(self, points: Floats) -> tuple[Floats, Floats]:
        figures = self._problem.figures(self._names, points)
        return 1 - figures[..., 0], figures[..., 1]


def make_problem(
    trained: TrainedHead,
    features: Tensor,
    cells: Cells,
    *,
    reach: float = REACH,
    directions: int | None = None,
    seed: int = 0,
) -> HeadProblem:
    """The problem of a trained head.

    Args:
        trained: the part of the network's head that is tuned.
        features: float32 (n, F), the network's, of the rows tuned on.
        cells: of the same rows.
        reach: how far first points lie from the trained head, 1 is as far as the head is long.
        directions: of a random subspace, of which points are offsets; None searches all the head's numbers. No more are
            taken than the head has numbers.
        seed: of the directions.

    Raises:
        DataError: there is no row of known group, or all rows have the same features.
    """
    inputs = trained.inputs_of(features)
    known = cells.ids[0] >= 0
    if not known.any():
        raise DataError("no row to tune on has a known group; give an attribute that the validation rows have")
    seen = inputs[known]
    if (seen == seen[:1]).all():
        raise DataError(f"all {len(seen)} rows to tune on have the same features; no head can tell them apart")
    spread = trained.spread(seen, reach=reach)
    if directions is None:
        return HeadProblem(trained.head, inputs, cells, trained.vector, spread)
    subspace = random_subspace(trained.vector, spread, dim=min(directions, len(spread)), seed=seed)
    return HeadProblem(trained.head, inputs, cells, np.zeros(subspace.dim), subspace.z_spread, subspace)


def _of_task(names: tuple[str, ...], counts: Floats, cells: Cells, task: int) -> Floats:
    observed = cells.observed(task)
    of_task = GroupCounts(counts[:, task], observed.groups, observed.classes)
    return np.stack([objective(name, of_task, observed) for name in names], axis=-1)
