"""Warm start: what an earlier search found is known before slot 0, or refused in one line."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from mindgap.core.errors import ConfigError, MindgapError, RunError
from mindgap.core.files import write_text
from mindgap.search.ledger import Ledger
from mindgap.search.plan import SearchPlan
from mindgap.search.prior import Prior, PriorOutcome
from mindgap.search.searcher import SEARCHERS, Outcome
from mindgap.search.warm_start import read_prior
from mindgap.search.worker import ledger_url
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.testing.token_game import SmallSpace, TokenGame
from mindgap.workflows.search import search

TRIALS = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_store(tmp_path_factory.mktemp("warm") / "store")


@pytest.fixture(scope="module")
def earlier(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("earlier")
    config = write_tiny_config(place, trials=TRIALS, searcher="random", bootstrap=0, permutations=0)
    run = place / "run"
    return run, search(folder, out=run, config=config)


def prior_of(run, plan, store, space_folder):
    return read_prior(str(run), plan, plan.open_space(store, run=space_folder))


def test_its_outcomes_are_copied_with_this_searchs_reward(store, plan_of, earlier, tmp_path):
    run, record = earlier
    plan = plan_of(store, preset="acc", warm_start=str(run))
    assert plan.prior is not None
    assert plan.prior.source == str(run)
    assert [list(one.tokens) for one in plan.prior.outcomes] == [trial["tokens"] for trial in record["trials"]]
    for one, trial in zip(plan.prior.outcomes, record["trials"], strict=True):
        above = trial["accuracy"] >= plan.reward.accuracy_floor
        assert one.reward == pytest.approx(0.8 * trial["accuracy"] - 0.2 * trial["unfairness"] if above else -1)
        assert one.macs == trial["macs"]
    assert SearchPlan.model_validate_json(plan.model_dump_json()) == plan


def test_the_searcher_knows_them_before_slot_0(store, plan_of, earlier, tmp_path):
    options = {"batch": 4, "learning_rate": 0.5}
    plan = plan_of(store, warm_start=str(earlier[0]), searcher="reinforce", searcher_options=options)
    space = plan.open_space(store, run=tmp_path / "run")
    warm, cold = plan.make_searcher(space), plan.model_copy(update={"prior": None}).make_searcher(space)
    assert warm.told == cold.told == 0
    assert [warm.ask(slot) for slot in range(4)] != [cold.ask(slot) for slot in range(4)]
    assert [warm.ask(slot) for slot in range(4)] == [plan.make_searcher(space).ask(slot) for slot in range(4)]


def test_candidates_over_this_searchs_limits_are_left_out_and_counted(store, plan_of, earlier, tmp_path):
    run, record = earlier
    macs = sorted(trial["macs"] for trial in record["trials"])
    text = (run / "tiny.toml").read_text()
    tight = f"max_macs_at_64_px = {16 * (macs[-1] - 1)}\n"
    write_text(tmp_path / "tight.toml", tight + text)
    plan = plan_of(store, space=str(tmp_path / "tight.toml"))
    prior, remarks = prior_of(run, plan, store, tmp_path / "run")
    kept = sum(value < macs[-1] for value in macs)
    assert len(prior.outcomes) == kept < TRIALS
    why = f"{TRIALS - kept} are left out: over this search's limits, or the oldest of many"
    assert remarks == (f"warm start: {kept} candidates of {run} ({why})",)


def test_other_training_is_said(store, plan_of, earlier, tmp_path):
    plan = plan_of(store, epochs=3)
    _, remarks = prior_of(earlier[0], plan, store, tmp_path / "run")
    changed = "epochs 2 (now 3), rungs (2,) (now (3,))"
    assert remarks[1] == f"its candidates were trained with {changed}; their accuracy and U count as they are"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unfairness": "standardized"}, "it has another kind of unfairness"),
        ({"ratios": "natural"}, "it has other fixed ratios"),
        ({"network": "mobilenet_v2"}, "it has another fixed network; its"),
        ({"space": "default"}, "its space has other blocks, so its candidates are not"),
    ],
)
def test_a_search_whose_rewards_or_tokens_mean_something_else_is_refused(store, plan_of, earlier, options, said):
    with pytest.raises(ConfigError, match=said) as refused:
        plan_of(store, warm_start=str(earlier[0]), **options)
    assert "\n" not in str(refused.value)


def test_a_search_on_another_store_is_refused(store, plan_of, earlier, tmp_path):
    plan = plan_of(store)
    other = plan.model_copy(update={"fingerprint": "another"})
    with pytest.raises(ConfigError, match=r"it has another store \('tiny-300.*' there, 'another' here\)"):
        read_prior(str(earlier[0]), other, plan.open_space(store, run=tmp_path / "run"))


def test_a_search_with_other_training_options_is_refused(store, plan_of, earlier, tmp_path):
    text = (earlier[0] / "tiny.toml").read_text()
    write_text(tmp_path / "own.toml", text + "\n[training]\naugment = [0, 1]\n")
    with pytest.raises(ConfigError, match="its space has other choices of loss or augmentation"):
        plan_of(store, space=str(tmp_path / "own.toml"), warm_start=str(earlier[0]))


def test_a_folder_without_a_search_is_one_line(store, plan_of, tmp_path):
    with pytest.raises(RunError, match=r"--warm-start .*nowhere: .*there is no ledger"):
        plan_of(store, warm_start=str(tmp_path / "nowhere"))
    (tmp_path / "ledger.db").write_text("no database")
    with pytest.raises(MindgapError) as refused:
        plan_of(store, warm_start=str(tmp_path / "ledger.db"))
    assert "\n" not in str(refused.value)


def test_of_a_run_with_several_presets_one_is_to_be_named(store, plan_of, earlier, tmp_path):
    for name in ("acc", "fair"):
        shutil.copytree(earlier[0], tmp_path / "several" / name)
    with pytest.raises(RunError, match="name one of acc, fair in it"):
        plan_of(store, warm_start=str(tmp_path / "several"))
    assert plan_of(store, warm_start=str(tmp_path / "several" / "acc" / "ledger.db")).prior is not None


def test_a_search_without_a_trained_candidate_is_refused(store, plan_of, tmp_path, folder):
    config = write_tiny_config(tmp_path, trials=1)
    with pytest.raises(RunError, match="before a candidate was begun"):
        search(folder, out=tmp_path / "empty", config=config, budget_hours=1e-9)
    with pytest.raises(RunError, match="none of 0 candidates was trained and is open"):
        plan_of(store, warm_start=str(tmp_path / "empty"))


@pytest.mark.slow
def test_a_warm_search_resumes_after_the_earlier_one_is_gone(folder, earlier, tmp_path):
    """It is a function of its own ledger: the same candidates whether it was stopped or not."""
    gone = tmp_path / "gone"
    shutil.copytree(earlier[0], gone)
    options = {"searcher": "reinforce", "bootstrap": 0, "permutations": 0}
    options |= {"searcher_options": {"batch": 2, "lag": 0, "learning_rate": 0.3}}
    config = write_tiny_config(tmp_path, **options)
    record = search(folder, out=tmp_path / "warm", config=config, warm_start=gone, trials=2)
    assert record["warm_start"] == {"source": str(gone), "candidates": TRIALS}
    shutil.rmtree(gone)
    resumed = search(folder, out=tmp_path / "warm", config=config, warm_start=gone, trials=4)
    ledger = Ledger(ledger_url(tmp_path / "warm"))
    plan = SearchPlan.model_validate(ledger.notes()["plan"])
    ledger.close()
    assert json.loads(plan.model_dump_json())["prior"]["source"] == str(gone)
    through = search(folder, out=tmp_path / "through", config=config, warm_start=earlier[0], trials=4)
    assert [trial["tokens"] for trial in resumed["trials"]] == [trial["tokens"] for trial in through["trials"]]


def test_a_warm_searcher_proposes_better_candidates_than_a_cold_one():
    """On the made-up game: the first 16 candidates, after 160 of an earlier search, over 5 seeds."""
    space, gained = SmallSpace(), []
    reinforce = SEARCHERS.get("reinforce")
    for seed in range(5):
        game = TokenGame(space, seed=seed)
        first = reinforce(space, seed=100 + seed)
        told = []
        for slot in range(160):
            for outcome in told[first.told : first.visible(slot)]:
                first.tell(outcome)
            tokens = first.ask(slot)
            told.append(Outcome(slot, tokens, game.reward(slot, tokens)))
        outcomes = tuple(
            PriorOutcome(tokens=one.tokens, reward=one.reward, accuracy=0.5, unfairness=0.1, macs=1, feasible=True)
            for one in told
        )
        warm, cold = reinforce(space, seed=seed), reinforce(space, seed=seed)
        warm.warm(Prior(source="", outcomes=outcomes).told())
        rewards = [[game.clean_reward(s.ask(slot)) for slot in range(16)] for s in (warm, cold)]
        gained.append(np.mean(rewards[0]) - np.mean(rewards[1]))
    assert min(gained) > 0
