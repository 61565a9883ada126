"""Compares searchers at equal image passes: the hypervolume that their candidates reach, with intervals over seeds.

    python experiments/searchers.py toy [--seeds 20]
    python experiments/searchers.py surrogate [--table benchmarks/results/ground_truth.csv] [--seeds 5]

``toy`` is a fully tabulated space of 32,585 candidates (``mindgap.testing.figures_game``), another game for each seed.
``surrogate`` is the default space with accuracy and U predicted by a model fitted to trained candidates
(``surrogate.py``), whose cross-validated rank correlation is printed first. Every candidate costs the same image
passes, so equal trials are equal passes.

Searchers are told noisy figures and judged on the noiseless ones: the hypervolume of accuracy, U and
multiply-accumulates of all feasible candidates among the first 100, 200 and 400, from the reference point that is worst
in the space, divided by that of the whole table (toy) or of 5,000 random candidates (surrogate). A finished run appends
its rows to a CSV under experiments/results/; the same command goes on where it stopped, and ends with the tables.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from surrogate import Surrogate, print_fit, read_table

from mindgap.metrics.hypervolume import hypervolume, hypervolume_over_time
from mindgap.search.searcher import SEARCHERS, Outcome
from mindgap.search.token_walk import draw_uniform
from mindgap.testing.figures_game import REWARD, Figures, FiguresGame, every_candidate

HERE = Path(__file__).parent
MAXIMIZE = (True, False, False)
BUDGETS = (100, 200, 400)
DRAWS = 5000
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("random", {}),
    "reinforce, lag 0": ("reinforce", {"lag": 0}),
    "reinforce, lag 1": ("reinforce", {"lag": 1}),
    "reinforce, lag 1, unweighted": ("reinforce", {"lag": 1, "importance_clip": 0.0}),
    "tpe": ("tpe", {}),
    "nsga2": ("nsga2", {}),
    "evolution": ("evolution", {}),
    "tpe, front": ("tpe", {"objective": "front"}),
    "evolution, front": ("evolution", {"fitness": "front"}),
}


@dataclass(frozen=True)
class Row:
    """One searcher on one game with one budget; ``share`` is of the hypervolume, ``reward`` the best noiseless one."""

    seed: int
    searcher: str
    trials: int
    share: float
    reward: float
    cpu_seconds: float


class Yardstick:
    """Measures the hypervolume of candidates as a share of what is there.

    Args:
        figures: true figures of the candidates that stand for the space.
        floor: accuracy below which a candidate is infeasible.
    """

    def __init__(self, figures: Sequence[Figures], *, floor: float) -> None:
        points = as_points(figures)
        self.reference = (floor, float(points[:, 1].max()), float(points[:, 2].max()))
        self.whole = hypervolume(points, self.reference, maximize=MAXIMIZE)

    def shares(self, figures: Sequence[Figures]) -> np.ndarray:
        """After each candidate, float64 (n,)."""
        return hypervolume_over_time(as_points(figures), self.reference, maximize=MAXIMIZE) / self.whole


def as_points(figures: Sequence[Figures]) -> np.ndarray:
    return np.array([(one.accuracy, one.unfairness, one.macs) for one in figures], dtype=np.float64)


def play(game: FiguresGame | Surrogate, name: str, settings: dict[str, Any], *, seed: int) -> list[Outcome]:
    """Runs a searcher for the largest budget; none of them knows the budget, so smaller ones are its beginning."""
    kind = SEARCHERS.get(name)
    searcher = kind(game.space, seed=seed, settings=kind.Settings(**settings))
    outcomes: list[Outcome] = []
    for slot in range(max(BUDGETS)):
        for outcome in outcomes[searcher.told : searcher.visible(slot)]:
            searcher.tell(outcome)
        outcomes.append(game.outcome(slot, searcher.ask(slot)))
    return outcomes


def measure(game: FiguresGame | Surrogate, yardstick: Yardstick, arm: str, *, seed: int) -> Iterator[Row]:
    begin = time.process_time()
    outcomes = play(game, *ARMS[arm], seed=seed)
    seconds = time.process_time() - begin
    figures = [game.figures(outcome.tokens) for outcome in outcomes]
    shares = yardstick.shares(figures)
    rewards = np.maximum.accumulate([game.reward(one.accuracy, one.unfairness) for one in figures])
    for trials in BUDGETS:
        share, reward = round(float(shares[trials - 1]), 5), round(float(rewards[trials - 1]), 5)
        yield Row(seed, arm, trials, share, reward, round(seconds * trials / max(BUDGETS), 2))


def games(options: argparse.Namespace) -> Iterator[tuple[int, FiguresGame | Surrogate, Yardstick]]:
    """A game and its yardstick for every seed; the surrogate is the same, but for what noise it shows."""
    if options.game == "toy":
        for seed in range(options.seeds):
            game = FiguresGame(seed=seed)
            figures = [game.figures(tokens) for tokens in every_candidate(game.space)]
            yield seed, game, Yardstick(figures, floor=REWARD.accuracy_floor)
        return
    table = read_table(options.table, max_macs=options.max_macs)
    print_fit(table)
    surrogate, generator = Surrogate(table, floor=options.floor), np.random.default_rng(0)
    drawn = [surrogate.figures(draw_uniform(surrogate.space, generator)) for _ in range(DRAWS)]
    yardstick = Yardstick(drawn, floor=options.floor)
    for seed in range(options.seeds):
        yield seed, surrogate.seen_with(seed), yardstick


def main() -> None:
    options = parse()
    torch.set_num_threads(1)
    table = options.results / f"searchers_{options.game}.csv"
    done = {(row.seed, row.searcher) for row in read(table)}
    if any((seed, arm) not in done for seed in range(options.seeds) for arm in ARMS):
        for seed, game, yardstick in games(options):
            for arm in ARMS:
                if (seed, arm) not in done:
                    rows = list(measure(game, yardstick, arm, seed=seed))
                    append(table, rows)
                    print(rows[-1], flush=True)
    print("\n".join(summary(read(table))))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("game", choices=["toy", "surrogate"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--table", type=Path, default=HERE.parent / "benchmarks" / "results" / "ground_truth.csv")
    parser.add_argument("--max-macs", type=int, default=8_000_000, help="of the table's candidates, at 64 px")
    parser.add_argument("--floor", type=float, default=0.68, help="accuracy floor of the surrogate's reward")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    return parser.parse_args()


def summary(rows: Sequence[Row]) -> list[str]:
    """Mean share with a 95 % t interval over seeds, and the mean paired difference from random search."""
    lines = []
    for column, title in (("share", "share of the hypervolume"), ("reward", "best reward")):
        lines += [f"| searcher | {' | '.join(f'{title}, {trials} trials | less random' for trials in BUDGETS)} |"]
        lines += ["| --- |" + " --- |" * (2 * len(BUDGETS))]
        for arm in ARMS:
            cells = []
            for trials in BUDGETS:
                own = {row.seed: getattr(row, column) for row in rows if (row.searcher, row.trials) == (arm, trials)}
                base = {r.seed: getattr(r, column) for r in rows if (r.searcher, r.trials) == ("random", trials)}
                cells += [interval(list(own.values()))]
                cells += ["" if arm == "random" else interval([own[seed] - base[seed] for seed in own if seed in base])]
            lines.append(f"| {arm} | {' | '.join(cells)} |")
        lines.append("")
    return lines


def interval(values: Sequence[float]) -> str:
    """Mean with a 95 % t interval; a single seed has none."""
    if len(values) < 2:
        return f"{np.mean(values):.3f} (one seed)" if values else "not run"
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return f"{np.mean(values):.3f} [{np.mean(values) - half:.3f}, {np.mean(values) + half:.3f}]"


def read(table: Path) -> list[Row]:
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        return [
            Row(
                int(r["seed"]),
                r["searcher"],
                int(r["trials"]),
                float(r["share"]),
                float(r["reward"]),
                float(r["cpu_seconds"]),
            )
            for r in csv.DictReader(file)
        ]


def append(table: Path, rows: Sequence[Row]) -> None:
    table.parent.mkdir(parents=True, exist_ok=True)
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])))
        if new:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


if __name__ == "__main__":
    main()
