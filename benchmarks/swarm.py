"""A swarm of linear heads on cached features, judged at once; target 10 minutes for 40 labels on two cores.

    python benchmarks/swarm.py [--rounds 5] [--threads 2] [--rows 20000] [--features 2048] [--particles 100]

Every contestant gives accuracy and UEI of every particle of one label; ours alone, and as one of several labels whose
swarms are judged together (its figure is then the time over their number). The loops take one head at a time, on the
same float32 features: a product of a matrix and a vector in torch or NumPy, then counts by one ``bincount`` and the two
metrics on them, with the group and class of every row numbered once beforehand. That all agree is checked, but for rows
whose logit is within rounding of 0. The ratio is over the faster loop, round by round. A loop is bound by memory, which
cores share, and a swarm by arithmetic, which they do not: on one thread the ratio is smaller than on two. Last, whole
iterations of the labels together (points asked for or drawn, and judged) are timed and multiplied up to 100 iterations
of 40 labels. An optimiser's own work is in them where one is named with ``--optimizer``.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from rounds import arguments, clock, ratio, show, start, take_turns
from torch import Tensor, nn

from mindgap.core.groups import Groups
from mindgap.metrics.counts import GroupCounts
from mindgap.tune.cells import make_cells
from mindgap.tune.objectives import make_objectives
from mindgap.tune.optimizer import Bounds, make_optimizer
from mindgap.tune.problem import LabelsObjectives, TaskObjectives, make_problem
from mindgap.tune.trained_head import trained_head

TARGET_S, LABELS, ITERATIONS = 600.0, 40, 100
ALONE, OURS = "whole swarm at once", "whole swarms of labels at once"
Floats = NDArray[np.float64]


def made(rows: int, features: int, labels: int) -> tuple[Tensor, NDArray[np.uint8], Groups, nn.Linear]:
    """Features as after a ReLU, labels that a head reads with errors, groups of 7 : 3, and that head."""
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(rows, features, generator=generator).relu_()
    head = nn.Linear(features, labels)
    nn.init.normal_(head.weight, 0.0, 0.02, generator=generator)
    with torch.no_grad():
        logits = seen @ head.weight.T
        head.bias.copy_(-logits.quantile(0.7, dim=0))
        noise = logits.std(dim=0) * torch.randn(logits.shape, generator=generator) / 2
        truth = (logits + head.bias + noise > 0).to(torch.uint8).numpy()
    groups = (torch.rand(rows, generator=generator) < 0.3).long().numpy()
    return seen, truth, Groups("sex", ("a", "b"), groups), head


def loop(
    judge: TaskObjectives, points: Floats, logits_of: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> Floats:
    """Objectives of one head after the other."""
    cells = judge.problem.cells
    observed, ids = cells.observed(), 2 * cells.ids[0].numpy()
    found = []
    for point in points.astype(np.float32):
        predicted = logits_of(point[:-1]) + point[-1] > 0
        counts = np.bincount(ids + predicted, minlength=8).reshape(2, 2, 2).astype(np.float64)
        found.append(judge.objectives.of(GroupCounts(counts, observed.groups, observed.classes), observed))
    return np.stack(found)


def contestants(
    judge: TaskObjectives, together: LabelsObjectives, points: list[Floats], *, now: Callable[[], float]
) -> dict[str, Callable[[], float]]:
    """Seconds of each way to judge the same points of the first label."""
    features = judge.problem.inputs
    array = features.numpy()

    def by_torch(weights: NDArray[np.float32]) -> NDArray[np.float32]:
        return torch.mv(features, torch.from_numpy(weights)).numpy()

    def by_numpy(weights: NDArray[np.float32]) -> NDArray[np.float32]:
        return array @ weights

    def timed(way: Callable[[], Floats], labels: int) -> Callable[[], float]:
        def play() -> float:
            begin = now()
            way()
            return (now() - begin) / labels

        return play

    ways: dict[str, Callable[[], Floats]] = {
        "loop over heads, torch": lambda: loop(judge, points[0], by_torch),
        "loop over heads, numpy": lambda: loop(judge, points[0], by_numpy),
        ALONE: lambda: judge(points[0]),
        OURS: lambda: together(points)[0],
    }
    reference = ways[ALONE]()
    for way in ways.values():  # a logit within rounding of 0 may fall on either side
        np.testing.assert_allclose(way(), reference, rtol=0, atol=3 / len(features))
    return {name: timed(way, len(points) if name == OURS else 1) for name, way in ways.items()}


def iterations(
    together: LabelsObjectives, *, optimizer: str | None, particles: int, rounds: int, now: Callable[[], float]
) -> list[float]:
    """Seconds of each iteration of all labels; random points unless an optimiser is named."""
    generator, found = np.random.default_rng(0), []
    places = list(zip(together.split(together.problem.start), together.split(together.problem.spread), strict=True))
    size = len(places[0][0])
    bounds = Bounds(np.full(size, -np.inf), np.full(size, np.inf))
    swarms = (
        []
        if optimizer is None
        else [
            make_optimizer(optimizer, begin, reach, bounds=bounds, population=particles, seed=0)
            for begin, reach in places
        ]
    )
    for _ in range(rounds):
        begin = now()
        drawn = [start + reach * generator.standard_normal((particles, size)) for start, reach in places]
        judged = together([swarm.ask() for swarm in swarms] or drawn)
        for swarm, objectives in zip(swarms, judged, strict=False):
            swarm.tell(objectives)
        found.append(now() - begin)
    return found


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--rows", type=int, default=20_000, help="rows tuned on")
    parser.add_argument("--features", type=int, default=2048, help="features")
    parser.add_argument("--particles", type=int, default=100, help="heads of a swarm")
    parser.add_argument("--labels", type=int, default=4, help="labels that are judged together")
    parser.add_argument("--iterations", type=int, default=5, help="iterations that are timed")
    parser.add_argument("--optimizer", help="whose own work is in the iterations, by name")
    options = parser.parse_args()
    start(options.threads)
    now = clock(options.clock)
    features, truth, groups, head = made(options.rows, options.features, options.labels)
    cells = make_cells(truth, groups, classes=tuple(f"label {i}" for i in range(options.labels)))
    judge = TaskObjectives(make_problem(trained_head(head, outputs=[0]), features, cells.task(0)), make_objectives())
    together = LabelsObjectives(make_problem(trained_head(head), features, cells), make_objectives())
    generator = np.random.default_rng(0)
    points = [
        begin + reach * generator.standard_normal((options.particles, len(begin)))
        for begin, reach in zip(
            together.split(together.problem.start), together.split(together.problem.spread), strict=True
        )
    ]
    figures = take_turns(contestants(judge, together, points, now=now), rounds=options.rounds)
    show(f"{options.particles} heads on {options.rows} × {options.features} features, one label", figures, unit="s")
    loops = [name for name in figures if name not in {ALONE, OURS}]
    best = min(loops, key=lambda name: statistics.median(figures[name]))
    alone, ours = (ratio(figures[best], figures[name]) for name in (ALONE, OURS))
    print(f"  {alone:.1f}× the {best}, {ours:.1f}× with {options.labels} labels together (target 20×)")
    each = iterations(
        together, optimizer=options.optimizer, particles=options.particles, rounds=options.iterations, now=now
    )
    listed = " ".join(f"{seconds:.4g}" for seconds in each)
    whole = statistics.fmean(each) * ITERATIONS * LABELS / options.labels
    print(f"iterations of {options.labels} labels with {options.optimizer or 'random points'}, s: {listed}")
    print(f"  to {ITERATIONS} iterations of {LABELS} labels: {whole:.0f} s (target {TARGET_S:g} s on two cores)")


if __name__ == "__main__":
    main()
