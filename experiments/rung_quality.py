"""How well early stages rank candidates, and what rungs spare: read off the table of ``ground_truth.py``.

Prints Markdown: Kendall's τ between a stage and the last one, with the same seed and with another (what a stage tells
of the candidate and not of its seed), beside the τ between two seeds at the last stage, which is the ceiling; the share
of the best fifth at the end that a stage would promote (its best quarter); and the image passes that default rungs take
in a search whose candidates arrive in random order, the control group and the judged copies included.

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
from mindgap.search.decider import Decider
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
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """Figures by stage, float64 (candidates, seeds); ``lower`` names those of which less is better."""

    figures: Mapping[str, Mapping[int, Floats]]
    lower: frozenset[str]

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
    return Truth(figures, frozenset(name for name in figures if "U" in name))


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
    print(
        "| best at the end by | " + " | ".join(f"{stage} epochs" for stage in truth.stages[:-1]) + " | seed to seed |"
    )
    print("| --- |" + " ---: |" * len(truth.stages))
    for name in ("accuracy", "U", "reward (fair)", "rank, then reward"):
        cells = [recall(truth, name, stage, last, shift=0) for stage in truth.stages[:-1]]
        print(f"| {name} | {' | '.join(cells)} | {recall(truth, name, last, last, shift=1)} |")
    print()


def recall(truth: Truth, name: str, stage: int, last: int, *, shift: int) -> str:
    """Of the best fifth at the end, the share that is in the best quarter of a stage, over all seeds."""
    seeds = truth.figures["accuracy"][last].shape[1]
    found = wanted = 0
    for seed in range(seeds):
        best = order(truth, name, last, (seed + shift) % seeds)[: max(1, round(BEST * truth.n))]
        kept = order(truth, name, stage, seed)[: math.ceil(PROMOTED * truth.n)]
        found, wanted = found + len(set(best) & set(kept)), wanted + len(best)
    return f"{found / wanted:.2f} ({found} of {wanted})"


def order(truth: Truth, name: str, stage: int, seed: int) -> list[int]:
    """Candidates, best first."""
    if name in truth.figures:
        values = truth.figures[name][stage][:, seed]
        return np.argsort(values if name in truth.lower else -values, kind="stable").tolist()
    accuracy, gap = (truth.figures[figure][stage][:, seed] for figure in ("accuracy", "U"))
    ranks = non_dominated_rank(np.stack([accuracy, gap], axis=1), (True, False))
    return np.lexsort((-truth.figures["reward (fair)"][stage][:, seed], ranks)).tolist()


def show_passes() -> None:
    """Epochs that a search takes when its candidates arrive in random order, by simulation of the decisions."""
    print("| epochs | rungs | candidates | against all to the end | against 500 epochs each |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for epochs in (16, 20, 64):
        for trials in (32, 104, 400):
            rungs = RungPlan(epochs=default_rungs(epochs), promotion=Promotion())
            spent = np.mean([simulated_epochs(rungs, trials, seed) for seed in range(5)])
            names = "/".join(map(str, rungs.epochs))
            ratios = f"{trials * epochs / spent:.1f} | {trials * 500 / spent:.0f}"
            print(f"| {epochs} | {names} | {trials} | {ratios} |")


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
