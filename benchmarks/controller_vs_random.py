"""Does the controller find better candidates than random search, on made-up rewards over the default space?

    python benchmarks/controller_vs_random.py [--seeds 20] [--trials 400] [--noise 0.3]

Rewards are main effects of every option at its place, pairwise effects of neighbours, and noise. Searchers see the
noisy reward; they are judged on the noiseless one: the best candidate among all they tried, and the one they would hand
over (highest noisy reward). Ties lose.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch

from mindgap.search.searcher import SEARCHERS, Outcome, TokenSpace
from mindgap.space.search_space import SearchSpace
from mindgap.testing.token_game import TokenGame


@dataclass(frozen=True)
class Finding:
    """Noiseless rewards: the best tried, the one of highest noisy reward, and the mean of the last 50."""

    best: float
    chosen: float
    late_mean: float


def play(name: str, space: TokenSpace, game: TokenGame, *, seed: int, trials: int) -> Finding:
    """Runs one searcher on one game."""
    searcher = SEARCHERS.get(name)(space, seed=seed)
    outcomes: list[Outcome] = []
    for slot in range(trials):
        for outcome in outcomes[searcher.told : searcher.visible(slot)]:
            searcher.tell(outcome)
        tokens = searcher.ask(slot)
        outcomes.append(Outcome(slot, tokens, game.reward(slot, tokens)))
    clean = [game.clean_reward(outcome.tokens) for outcome in outcomes]
    chosen = int(np.argmax([outcome.reward for outcome in outcomes]))
    return Finding(max(clean), clean[chosen], float(np.mean(clean[-50:])))


def default_space() -> SearchSpace:
    """The default space at 64 px with seven classes and an attribute of three groups."""
    counts = {"young": 900, "middle": 4000, "old": 2100}
    return SearchSpace.load("default", num_classes=7, input_px=64, group_counts=counts)


def compare(seed: int, *, trials: int, noise: float) -> tuple[Finding, Finding]:
    """Random search and the controller on the game of that seed."""
    space = default_space()
    game = TokenGame(space, seed=seed, noise=noise)
    random, reinforce = (play(name, space, game, seed=seed, trials=trials) for name in ("random", "reinforce"))
    return random, reinforce


def main() -> None:
    parser = argparse.ArgumentParser(description="Controller against random search on made-up rewards.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--noise", type=float, default=0.3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    wins = wins_chosen = 0
    print("seed   random best  chosen  late | controller best  chosen  late |     s")
    for seed in range(options.seeds):
        started = time.perf_counter()
        random, learned = compare(seed, trials=options.trials, noise=options.noise)
        wins += learned.best > random.best
        wins_chosen += learned.chosen > random.chosen
        columns = f"{random.best:13.2f} {random.chosen:7.2f} {random.late_mean:5.2f} | "
        columns += f"{learned.best:15.2f} {learned.chosen:7.2f} {learned.late_mean:5.2f}"
        print(f"{seed:4d} {columns} | {time.perf_counter() - started:5.1f}", flush=True)
    print(f"best tried: controller wins {wins} of {options.seeds}; handed over: {wins_chosen} of {options.seeds}")


if __name__ == "__main__":
    main()
