"""The experiment that compares searchers: its games and yardsticks, on small made-up data."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mindgap.core.errors import DataError
from mindgap.search.token_walk import choices_of, draw_uniform, replay
from mindgap.space.cost import count_cost
from mindgap.space.search_space import SearchSpace
from mindgap.testing.figures_game import Figures, FiguresGame, every_candidate

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


@pytest.fixture
def script(monkeypatch):
    """The modules of a folder that is no package."""
    monkeypatch.syspath_prepend(EXPERIMENTS)
    monkeypatch.delitem(sys.modules, "surrogate", raising=False)
    return importlib.import_module


def true_accuracy(space, tokens):
    """Made up: .6, and .02 more for every block of type ``cb`` and .01 for every one of type ``mb``."""
    types = [choice for (kind, _), choice in choices_of(replay(space, tokens)).items() if kind == "block"]
    return 0.6 + sum({"cb": 0.02, "mb": 0.01}.get(space.blocks[choice].type, 0.0) for choice in types)


@pytest.fixture
def table(tmp_path):
    """Forty candidates of the default space: accuracy follows how many blocks are plain, U the first ratio."""
    counts = {"a": 100, "b": 200, "c": 300}
    space = SearchSpace.load("default", num_classes=7, input_px=64, group_counts=counts)
    generator, rows = np.random.default_rng(0), []
    for _ in range(40):
        tokens = draw_uniform(space, generator)
        macs = count_cost(space.decode(tokens).architecture).macs
        skill = true_accuracy(space, tokens)
        for seed in range(2):
            for stage, worse in ((1, 0.2), (13, 0.0)):
                accuracy = skill - worse + 0.002 * generator.normal()
                unfairness = 0.4 - 0.05 * tokens[0] + 0.005 * generator.normal()
                row = {"tokens": json.dumps(tokens), "seed": seed, "stage_epochs": stage, "accuracy": accuracy}
                rows.append(row | {"unfairness": unfairness, "macs": macs})
    pd.DataFrame(rows).to_csv(tmp_path / "ground_truth.csv", index=False)
    return tmp_path / "ground_truth.csv"


@pytest.mark.slow
def test_the_surrogate_ranks_what_it_was_not_fitted_to(script, table):
    surrogate = script("surrogate")
    read = surrogate.read_table(table, max_macs=60_000_000)
    assert (len(read.tokens), read.space.ratio_tokens, read.epochs) == (40, 2, 13)
    assert read.noise == pytest.approx([0.002, 0.005], rel=0.5)
    for target in range(2):
        best = surrogate.fits(read, target)[0]
        assert best.low <= best.tau <= best.high
        assert best.tau > 0.6
    game = surrogate.Surrogate(read, floor=0.5)
    tokens = draw_uniform(read.space, np.random.default_rng(99))
    figures = game.figures(tokens)
    assert figures.macs == count_cost(read.space.decode(tokens).architecture).macs
    assert figures.accuracy == pytest.approx(true_accuracy(read.space, tokens), abs=0.02)
    seen = [game.seen_with(seed).outcome(0, tokens).accuracy for seed in (0, 0, 1)]
    assert seen[0] == seen[1] != seen[2]


def test_a_table_of_another_space_is_refused(script, table):
    rows = pd.read_csv(table)
    rows["tokens"] = "[9,9,9]"
    rows.to_csv(table, index=False)
    with pytest.raises(DataError, match=r"candidate \[9, 9, 9\] is none of space 'default'"):
        script("surrogate").read_table(table, max_macs=60_000_000)


def test_the_whole_space_has_a_share_of_one_and_a_dominated_candidate_adds_nothing(script):
    searchers = script("searchers")
    space = [Figures(0.9, 0.1, 5), Figures(0.7, 0.3, 2), Figures(0.6, 0.4, 8)]
    yardstick = searchers.Yardstick(space, floor=0.5)
    shares = yardstick.shares([space[2], space[0], Figures(0.8, 0.2, 6), space[1]])
    assert shares[0] == 0
    assert 0 < shares[1] == shares[2] < shares[3] == 1


def test_rows_are_appended_and_read_again_and_summed_up_by_t(script, tmp_path):
    searchers = script("searchers")
    rows = [searchers.Row(seed, "random", 100, 0.5 + 0.1 * seed, -0.1, 1.0) for seed in range(2)]
    searchers.append(tmp_path / "rows.csv", rows[:1])
    searchers.append(tmp_path / "rows.csv", rows[1:])
    assert searchers.read(tmp_path / "rows.csv") == rows
    assert searchers.interval([0.5, 0.6]) == "0.550 [-0.085, 1.185]"
    assert "| random | 0.550 [-0.085, 1.185]" in "\n".join(searchers.summary(rows))


def test_every_candidate_of_the_toy_is_tabulated_once():
    game = FiguresGame(seed=0, positions=2)
    candidates = list(every_candidate(game.space))
    assert len(candidates) == len(set(candidates)) == 5 * (7 * 7 + 2 * 3 * 7)  # type 1 at most once, three widths
    for tokens in candidates[::50]:
        assert draw_uniform(game.space, np.random.default_rng(0)) in candidates
        assert 0.5 <= game.figures(tokens).accuracy <= 0.9


def test_the_toys_accuracy_saturates_and_depends_on_ratio_and_architecture_together():
    game = FiguresGame(seed=0, positions=2)
    figures = {tokens: game.figures(tokens) for tokens in every_candidate(game.space)}
    gains = {blocks[1:]: figures[0, *blocks[1:]].unfairness - figures[4, *blocks[1:]].unfairness for blocks in figures}
    assert max(gains.values()) > 0.1
    assert min(gains.values()) < 0.05
    assert max(one.accuracy for one in figures.values()) < 0.9
