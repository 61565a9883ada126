"""The fronts of a tuning: searched, or over all thresholds, each kept in a file when it is finished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from mindgap.core.files import atomic_path
from mindgap.core.progress import Progress
from mindgap.core.seed import derive_seed
from mindgap.tune.head import Floats, as_tensor
from mindgap.tune.optimizer import AbstractOptimizer, Bounds, make_optimizer
from mindgap.tune.problem import DynamicObjectives, HeadProblem, LabelsObjectives, TaskObjectives
from mindgap.tune.thresholds import threshold_front
from mindgap.workflows.tune_job import Part, TuneJob, Unit

AT_ONCE = 8
MOST_THRESHOLDS = 100


def front_path(folder: Path, job: TuneJob, unit: Unit) -> Path:
    """Where a unit's front is kept, by its place in the job."""
    return folder / "fronts" / f"{job.units.index(unit)}.npy"


def fronts(job: TuneJob, folder: Path, part: Part, bar: Progress) -> dict[str, Floats]:
    """The points (K, D) of every unit's front, from the most accurate on; those that are kept already are read.

    They are heads, or offsets in a subspace of them.

    Args:
        job: what is tuned.
        folder: of the run.
        part: the rows to tune on.
        bar: told of every head that is judged.
    """
    (folder / "fronts").mkdir(exist_ok=True)
    for units in batches(job):
        paths = [front_path(folder, job, unit) for unit in units]
        if not all(path.is_file() for path in paths):
            bar.describe("tuning " + ", ".join(unit.name for unit in units[:3]) + (" …" if len(units) > 3 else ""))
            for path, points in zip(paths, _found(job, units, part, bar), strict=True):
                with atomic_path(path) as temporary, temporary.open("wb") as file:
                    np.save(file, points)
        else:
            bar.advance(len(units) * job.options.budget)
    return {unit.name: np.load(front_path(folder, job, unit)) for unit in job.units}


def batches(job: TuneJob) -> Iterator[Sequence[Unit]]:
    """Units that are judged together, always the same ones, so that a resumed call finds what it would have found."""
    for begin in range(0, len(job.units), AT_ONCE):
        yield job.units[begin : begin + AT_ONCE]


def threshold_heads(job: TuneJob, unit: Unit, part: Part) -> Floats:
    """Heads (K, D) with another bias, one per point of the front over all thresholds; at most 100, evenly spread.

    Thresholds that predict a label always or never are left out; where no other is on the front, it is the trained 0.
    """
    trained = job.head(unit.outputs)
    vector = as_tensor(trained.vector[None], part.features)
    with torch.no_grad():
        logits = trained.head.logits(vector, trained.inputs_of(part.features))[0, 0].double().cpu().numpy()
    labels = job.store.labels[part.rows][:, unit.outputs[0]].astype(np.uint8)
    found = threshold_front(logits, labels, job.groups.take(part.rows), job.objectives)
    finite = found.thresholds[np.isfinite(found.thresholds)]
    finite = finite if len(finite) else np.zeros(1)
    kept = finite[np.unique(np.linspace(0, len(finite) - 1, min(len(finite), MOST_THRESHOLDS)).round().astype(int))]
    heads = np.repeat(trained.vector[None], len(kept), axis=0)
    heads[:, -1] -= kept
    return heads


def _found(job: TuneJob, units: Sequence[Unit], part: Part, bar: Progress) -> list[Floats]:
    options = job.options
    if options.mode == "thresholds":
        found = [threshold_heads(job, unit, part) for unit in units]
    elif job.is_multi_label and options.mode == "multitask" and options.subspace is None:
        found = _by_label(job, units, part, bar)
    else:
        problems = [job.problem(part, unit.outputs) for unit in units]
        found = [_of_one(job, unit, problem, bar) for unit, problem in zip(units, problems, strict=True)]
        three = zip(units, found, problems, strict=True)
        return [sorted_with_trained(job, unit, part, points, space=space) for unit, points, space in three]
    return [sorted_with_trained(job, unit, part, heads) for unit, heads in zip(units, found, strict=True)]


def _by_label(job: TuneJob, units: Sequence[Unit], part: Part, bar: Progress) -> list[Floats]:
    """A swarm per label, judged together."""
    outputs = tuple(unit.outputs[0] for unit in units)
    problem = job.problem(part, outputs)
    judge = LabelsObjectives(problem, job.objectives)
    pairs = zip(units, judge.split(problem.start), judge.split(problem.spread), strict=True)
    swarms = [_swarm(job, unit, start, spread) for unit, start, spread in pairs]
    for _ in range(_iterations(job)):
        for swarm, objectives in zip(swarms, judge([swarm.ask() for swarm in swarms]), strict=True):
            swarm.tell(objectives)
        bar.advance(job.options.population * len(units))
    return [swarm.front.positions for swarm in swarms]


def _of_one(job: TuneJob, unit: Unit, problem: HeadProblem, bar: Progress) -> Floats:
    """One swarm of heads that give all the unit's logits."""
    if job.is_multi_label and job.options.mode == "dynamic":
        judge = DynamicObjectives(problem, gap=job.gap, weights=job.options.weights)
    else:
        judge = TaskObjectives(problem, job.objectives)
    swarm = _swarm(job, unit, problem.start, problem.spread)
    for _ in range(_iterations(job)):
        swarm.tell(judge(swarm.ask()))
        bar.advance(job.options.population)
    return swarm.front.positions


def _iterations(job: TuneJob) -> int:
    return job.options.budget // job.options.population


def _swarm(job: TuneJob, unit: Unit, start: Floats, spread: Floats) -> AbstractOptimizer:
    options = job.options
    endless = np.full(len(start), np.inf)
    return make_optimizer(
        options.optimizer,
        start,
        spread,
        bounds=Bounds(-endless, endless),
        population=options.population,
        seed=derive_seed(options.seed, "tune", unit.name),
        options=options.optimizer_options,
    )


def sorted_with_trained(
    job: TuneJob, unit: Unit, part: Part, points: Floats, *, space: HeadProblem | None = None
) -> Floats:
    """The points and the trained head, from the most accurate on, over all the unit's labels; of a tie by UEI.

    With the trained head among them the rule always has a point that keeps its accuracy, and a pick can go back to it.

    Args:
        job: what is tuned.
        unit: whose front it is.
        part: the rows tuned on.
        points: (K, D), heads, or offsets of the space.
        space: in which points are offsets; None if they are heads.
    """
    trained = job.head(unit.outputs).vector if space is None else space.start
    if not (points == trained).all(axis=1).any():
        points = np.concatenate([points, trained[None]])
    heads = points if space is None else space.heads(points)
    figures = job.figures(part, unit.outputs, heads).mean(axis=1)
    names = job.figure_names
    return points[np.lexsort((figures[:, names.index("uei")], -figures[:, names.index("accuracy")]))]
