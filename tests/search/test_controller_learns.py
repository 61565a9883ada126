from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from mindgap.search.searcher import SEARCHERS, Outcome
from mindgap.testing.token_game import SmallSpace, TokenGame


@pytest.fixture
def benchmark(monkeypatch):
    """The script that makes the comparison, whose folder is no package."""
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "benchmarks")
    return importlib.import_module("controller_vs_random")


@pytest.mark.slow
def test_the_controller_beats_random_search_in_18_of_20_seeds(benchmark):
    """On the default space, 400 trials, judged on the noiseless reward; ties lose."""
    findings = [benchmark.compare(seed, trials=400, noise=0.3) for seed in range(20)]
    assert sum(learned.best > random.best for random, learned in findings) >= 18


@pytest.mark.parametrize("lag", [0, 1])
def test_the_controller_learns_a_small_game(lag):
    """With 200 trials the late candidates are much better than the early ones."""
    space = SmallSpace()
    game = TokenGame(space, seed=2)
    searcher = SEARCHERS.get("reinforce")
    searcher = searcher(space, seed=0, settings=searcher.Settings(lag=lag))
    outcomes = []
    for slot in range(200):
        for outcome in outcomes[searcher.told : searcher.visible(slot)]:
            searcher.tell(outcome)
        tokens = searcher.ask(slot)
        outcomes.append(Outcome(slot, tokens, game.reward(slot, tokens)))
    clean = np.array([game.clean_reward(outcome.tokens) for outcome in outcomes])
    assert clean[-40:].mean() > clean[:40].mean() + 2 * clean[:40].std() / 40**0.5
    assert clean[-40:].mean() > np.quantile(clean[:40], 0.75)
