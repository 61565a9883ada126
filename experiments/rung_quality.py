"""How well early stages rank candidates, and what rungs spare: read off the table of ``ground_truth.py``.

Prints Markdown: Kendall's τ between a stage and the last one, with the same seed and with another (what a stage tells
of the candidate and not of its seed), beside the τ between two seeds at the last stage, which is the ceiling; the share
of the best fifth at the end that a stage would promote (its best quarter), by the figure itself and by what promotes in
a search; and the image passes that rungs take in a search whose candidates arrive in random order, the control group
and the judged copies included. Intervals are of a bootstrap over candidates.

    python experiments/rung_quality.py
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.core.seed import numpy_generator
from mindgap.metrics.pareto import non_dominated_rank
from mindgap.search.agenda import Target, closing_due
from mindgap.search.agreement import tau_interval
from mindgap.search.decider import Decider, best_first
from mindgap.search.reward import Reward
from mindgap.search.rungs import Promotion, RungPlan, default_rungs
from mindgap.search.searchers.random import RandomSearcher
from mindgap.search.slot import Slot
from mindgap.testing.made_slots import judged, result
from mindgap.testing.token_game import SmallSpace

TABLE = Path(__file__).parents[1] / "benchmarks" / "results" / "ground_truth.csv"
FAIR = Reward(alpha=0.2, beta=0.8, accuracy_floor=0.0)
PROMOTED, BEST = 0.25, 0.2
ALL_AT_ONCE = RandomSearcher(SmallSpace(), seed=0)  # no slot depends on another
RANK, EXACT = "rank, then reward", "rank with the exact cost, then reward"
RESAMPLES, SEEDS = 1000, 20
SHOWN = ((16, None), (20, None), (64, None), (64, (2, 8, 32, 64)), (64, (2, 16, 64)), (64, (4, 16, 64)))
Floats, Integers = NDArray[np.float64], NDArray[np.int64]


@dataclass(frozen=True)
class Truth:
    """Figures by stage, float64 (candidates, seeds); ``lower`` names those of which less is better; ``macs`` (n,)."""

    figures: Mapping[str, Mapping[int, Floats]]
    lower: frozenset[str]
    macs: Floats

    @property
    def stages(self) -> list[int]:
        """Epochs before the decay, rising."""
        return sorted(self.figures["accuracy"])

    @property
    def n(self) -> int:
        """Candidates whose every stage is known with every seed."""
        return len(self.figures["accuracy"][self.stages[-1]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_args()
    truth = read(options.table)
    print(f"{truth.n} candidates, 2 seeds.\n")
    show_tau(truth)
    show_recall(truth)
    show_passes()


def read(table: Path) -> Truth:
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    stages = sorted({int(row["stage_epochs"]) for row in rows})
    by_key = {(int(row["candidate"]), int(row["seed"]), int(row["stage_epochs"])): row for row in rows}
    seeds = sorted({seed for _, seed, _ in by_key})
    whole = [c for c in sorted({c for c, _, _ in by_key}) if all((c, s, e) in by_key for s in seeds for e in stages)]

    def of(figure: Any) -> dict[int, Floats]:
        return {e: np.array([[figure(by_key[c, s, e]) for s in seeds] for c in whole]) for e in stages}

    def other(name: str) -> Any:
        return lambda row: json.loads(row["other_unfairness"])[name]

    figures = {
        "accuracy": of(lambda row: float(row["accuracy"])),
        "U": of(lambda row: float(row["unfairness"])),
        "standardised U": of(lambda row: float(row["standardized"])),
        **{f"U of {name}": of(other(name)) for name in json.loads(rows[0]["other_unfairness"])},
        "reward (fair)": of(lambda row: FAIR(float(row["accuracy"]), float(row["unfairness"]))),
    }
    macs = np.array([float(by_key[c, seeds[0], stages[0]]["macs"]) for c in whole])
    return Truth(figures, frozenset(name for name in figures if "U" in name), macs)


def show_tau(truth: Truth) -> None:
    last = truth.stages[-1]
    heads = " | ".join(f"{stage} epochs" for stage in truth.stages[:-1])
    print(f"| figure | τ with the end | {heads} | seed to seed, at the end |")
    print("| --- | --- |" + " --- |" * len(truth.stages))
    for name, stages in truth.figures.items():
        for words, shift in (("same seed", 0), ("another seed", 1)):
            cells = [tau(stages[stage], np.roll(stages[last], shift, axis=1)) for stage in truth.stages[:-1]]
            ceiling = tau(stages[last][:, :1], stages[last][:, 1:])
            print(f"| {name} | {words} | {' | '.join(cells)} | {ceiling} |")
    print()


def tau(early: Floats, late: Floats) -> str:
    """Mean over seeds, and the mean of the ends of their intervals over candidates."""
    each = np.array([tau_interval(early[:, seed], late[:, seed], seed=seed) for seed in range(early.shape[1])])
    mean, low, high = each.mean(axis=0)
    return "not defined" if math.isnan(mean) else f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def show_recall(truth: Truth) -> None:
    last = truth.stages[-1]
    heads = " | ".join(f"{stage} epochs" for stage in truth.stages[:-1])
    print(f"| best at the end by | kept by | {heads} | another seed, at the end |")
    print("| --- | --- |" + " ---: |" * len(truth.stages))
    for best in ("accuracy", "U", "reward (fair)", RANK, EXACT):
        for kept in dict.fromkeys((best, "accuracy", RANK, EXACT)):
            cells = [recall(truth, stage, best=best, kept=kept, shift=0) for stage in truth.stages[:-1]]
            print(f"| {best} | {kept} | {' | '.join(cells)} | {recall(truth, last, best=best, kept=kept, shift=1)} |")
    print()


def recall(truth: Truth, stage: int, *, best: str, kept: str, shift: int) -> str:
    """Of the best fifth at the end, the share in the best quarter of a stage; seeds together, candidates resampled."""
    everyone = np.arange(truth.n)
    generator = numpy_generator(0, "recall", best, kept, stage)
    again = [generator.choice(everyone, truth.n) for _ in range(RESAMPLES)]
    shares = [np.divide(*_kept(truth, stage, rows, best=best, kept=kept, shift=shift)) for rows in again]
    found, wanted = _kept(truth, stage, everyone, best=best, kept=kept, shift=shift)
    low, high = np.quantile(shares, [0.025, 0.975])
    return f"{found / wanted:.2f} [{low:.2f}, {high:.2f}]"


def _kept(truth: Truth, stage: int, rows: Integers, *, best: str, kept: str, shift: int) -> tuple[int, int]:
    """How many of the best were kept among some candidates, and how many there are, over all seeds."""
    last = truth.stages[-1]
    seeds = truth.figures["accuracy"][last].shape[1]
    found = wanted = 0
    for seed in range(seeds):
        good = order(truth, best, last, (seed + shift) % seeds, rows)[: max(1, round(BEST * len(rows)))]
        on = order(truth, kept, stage, seed, rows)[: math.ceil(PROMOTED * len(rows))]
        found, wanted = found + len(set(good) & set(on)), wanted + len(good)
    return found, wanted


def order(truth: Truth, name: str, stage: int, seed: int, rows: Integers) -> list[int]:
    """Places among some candidates, best first."""
    if name not in {RANK, EXACT}:
        values = truth.figures[name][stage][rows, seed]
        return np.argsort(values if name in truth.lower else -values, kind="stable").tolist()
    columns = {"accuracy": "accuracy", "unfairness": "U", "reward": "reward (fair)"}
    values = {key: truth.figures[figure][stage][rows, seed].tolist() for key, figure in columns.items()}
    found = [dict(zip(values, one, strict=True)) for one in zip(*values.values(), strict=True)]
    found = [one | {"macs": macs} for one, macs in zip(found, truth.macs[rows].tolist(), strict=True)]
    if name == RANK:
        return best_first(found, Promotion().objectives)
    costs = np.array([[one["accuracy"], one["unfairness"], one["macs"]] for one in found])
    return np.lexsort((-np.array(values["reward"]), non_dominated_rank(costs, (True, False, False)))).tolist()


def show_passes() -> None:
    """Epochs that a search takes when its candidates arrive in random order, by simulation of the decisions."""
    print(f"Mean and range of {SEEDS} seeds; results agree with τ of ½ from rung to rung.\n")
    print("| epochs | rungs | candidates | fewer than all to the end | fewer than 500 epochs each |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for epochs, given in SHOWN:
        for trials in (32, 104, 400):
            rungs = RungPlan(epochs=given or default_rungs(epochs), promotion=Promotion())
            spent = np.array([simulated_epochs(rungs, trials, seed) for seed in range(SEEDS)])
            times = [f"{_spread(trials * whole / spent)}" for whole in (epochs, 500)]
            print(f"| {epochs} | {'/'.join(map(str, rungs.epochs))} | {trials} | {' | '.join(times)} |")


def _spread(times: Floats) -> str:
    return f"{times.mean():.1f} ({times.min():.1f} to {times.max():.1f})"


def simulated_epochs(rungs: RungPlan, trials: int, seed: int) -> int:
    """Epochs of all candidates, copies and control group included, when results are normal and agree with τ of ½."""
    generator = numpy_generator(seed, "passes", trials)
    quality = generator.normal(size=(trials, 2))

    def found(slot: int) -> dict[str, Any]:
        accuracy, gap = quality[slot] + generator.normal(size=2)
        return result(float(accuracy), float(gap), macs=1)

    slots: list[Slot] = []
    decide, closings = Decider(rungs.model_copy(update={"seed": seed})), list[int]()
    while True:
        now = decide(slots, closings)
        todo = [slot for slot in now if slot.state == "open"]
        for slot in todo:
            slots[slot.number] = judged(slot.number, *slot.judged.values(), found(slot.number))
        if not todo and len(slots) < trials:
            slots += [
                judged(len(slots) + i, found(len(slots) + i)) for i in range(min(rungs.bracket, trials - len(slots)))
            ]
        elif not todo and closing_due(now, ALL_AT_ONCE, Target(trials=trials)):
            closings.append(len(slots))
        elif not todo:
            return sum(epochs_of(rungs, rung) for slot in now for rung in slot.judged)


def epochs_of(rungs: RungPlan, rung: int) -> int:
    """Epochs of a rung beyond the plateau of the one below."""
    return rungs.training(rung)["epochs"] - (rungs.plateau(rung - 1) if rung else 0)


if __name__ == "__main__":
    main()
