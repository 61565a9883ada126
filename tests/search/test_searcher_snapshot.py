"""A searcher that goes on from a snapshot proposes what one proposes that was told everything again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mindgap.search.agenda import outcome, propose
from mindgap.search.ledger import Ledger, create_ledger
from mindgap.search.prior import Prior, PriorOutcome
from mindgap.search.reward import Reward
from mindgap.search.rungs import Promotion
from mindgap.search.searcher import SEARCHERS, Outcome
from mindgap.search.searcher_snapshot import KILLED_S, SNAPSHOT_FILE, SearcherSnapshot, make_snapshot, search_key
from mindgap.search.searchers.reinforce import ReinforceSearcher, ReinforceSettings
from mindgap.search.slot import Slot
from mindgap.search.worker_loop import Trained, Worker
from mindgap.testing.made_slots import attempt, result
from mindgap.testing.token_game import SmallSpace, TokenGame

SPACE = SmallSpace(positions=2)
REWARD = Reward(alpha=0.2, beta=0.8, accuracy_floor=0.0, infeasible=-1.0)


class Game:
    """Candidates of a made-up game; nothing is trained."""

    reward = REWARD

    def rejection(self, tokens):
        return {"reason": "ratio 3 is over the limit", "reward": -1.0} if tokens[0] == 3 else None

    def train(self, claim, *, epoch_done, between):
        between()
        epoch_done(1)
        return Trained({"reward": TokenGame(SPACE, seed=5).reward(claim.slot, claim.tokens)}, (0.5, 0.1, 1.0))

    def keep_error(self, claim, text):
        raise AssertionError(text)

    def settle(self, claim):
        pass


def searcher(*, lag=1, seed=3, warm=False):
    made = ReinforceSearcher(SPACE, seed=seed, settings=ReinforceSettings(lag=lag, batch=4, hidden=12))
    if warm:
        made.warm([outcome(slot, reward=REWARD) for slot in played(4)])
    return made


def played(n, made=None):
    """Settled slots of a search."""
    game, made, slots = TokenGame(SPACE, seed=5), made or searcher(), []
    for number in range(n):
        tokens = propose(made, slots, number, reward=REWARD)
        found = result(reward=game.reward(number, tokens))
        slots.append(Slot((replace(attempt(number, 1, found=found), tokens=tokens),)))
    return slots


def keep(folder, slots, *, told, made=None, search="this"):
    """Writes the snapshot of a searcher that was told the first slots."""
    made = made or searcher()
    for slot in slots[:told]:
        made.tell(outcome(slot, reward=REWARD))
    SearcherSnapshot(folder, key=search, every=4, rest_s=0).keep(made, slots[:told], reward=REWARD)
    return made


def weights(made):
    """Copies of all weights, and the baseline."""
    state = made.state()["learnt"]
    return [*state["controller"].values(), torch.tensor(state["baseline"] or 0.0, dtype=torch.float64)]


def restore(folder, slots, *, made=None, search="this"):
    made = made or searcher()
    return made, SearcherSnapshot(folder, key=search, every=4).restore(made, slots, reward=REWARD)


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("lag", [0, 1, 2, 3])
@pytest.mark.parametrize("told", [4, 10, 28])
def test_from_a_snapshot_the_candidates_and_the_state_are_bit_for_bit_the_same(tmp_path, lag, told, warm):
    slots = played(56, searcher(lag=lag, warm=warm))
    keep(tmp_path, slots, told=told, made=searcher(lag=lag, warm=warm))
    again, did = restore(tmp_path, slots[:32], made=searcher(lag=lag, warm=warm))
    assert did
    assert again.told == told
    first = next(slot for slot in range(56) if again.visible(slot) >= told)
    for number in range(first, 56):
        assert propose(again, slots, number, reward=REWARD) == slots[number].tokens
    replayed = searcher(lag=lag, warm=warm)
    for slot in slots[: again.told]:
        replayed.tell(outcome(slot, reward=REWARD))
    assert all(torch.equal(one, other) for one, other in zip(weights(again), weights(replayed), strict=True))


def damage_middle(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "damage",
    [
        damage_middle,
        lambda path: path.write_bytes(path.read_bytes()[:1000]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: torch.save({"run": "this"}, path),
        lambda path: torch.save([1], path),
        lambda path: path.write_bytes(b"a"),  # an IndexError of the unpickler's
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_a_damaged_or_missing_snapshot_is_as_good_as_none(tmp_path, damage):
    slots = played(24)
    keep(tmp_path, slots, told=16)
    damage(tmp_path / SNAPSHOT_FILE)
    again, did = restore(tmp_path, slots)
    assert not did
    assert propose(again, slots, 20, reward=REWARD) == slots[20].tokens


@pytest.mark.parametrize("part", [{"state": "text"}, {"state": None}, {"told": "16"}, {"told": 17}, {"check": None}])
def test_a_snapshot_with_a_part_that_is_none_is_not_used(tmp_path, part):
    slots = played(24)
    keep(tmp_path, slots, told=16)
    record = torch.load(tmp_path / SNAPSHOT_FILE, weights_only=True)
    torch.save(record | part, tmp_path / SNAPSHOT_FILE)
    again, did = restore(tmp_path, slots)
    assert not did
    assert propose(again, slots, 20, reward=REWARD) == slots[20].tokens


def test_a_state_that_does_not_fit_leaves_the_searcher_as_it_was(tmp_path):
    slots = played(24)
    keep(tmp_path, slots, told=16, made=searcher(lag=1))
    other = ReinforceSearcher(SPACE, seed=3, settings=ReinforceSettings(batch=4, hidden=13))
    before = weights(other)
    _, did = restore(tmp_path, slots, made=other)
    assert not did
    assert other.told == 0
    assert all(torch.equal(a, b) for a, b in zip(before, weights(other), strict=True))


@pytest.mark.parametrize("changed", ["reward", "tokens", "fewer", "search"])
def test_a_snapshot_of_another_past_is_not_used(tmp_path, changed):
    slots = played(24)
    keep(tmp_path, slots, told=16)
    past, search = list(slots), "this"
    if changed == "reward":
        found = dict(slots[3].result) | {"reward": slots[3].result["reward"] + 1e-15}
        past[3] = Slot((replace(slots[3].last, result=found),))
    elif changed == "tokens":
        past[3] = Slot((replace(slots[3].last, tokens=slots[4].tokens),))
    elif changed == "fewer":
        past = past[:12]
    else:
        search = "another"
    assert not restore(tmp_path, past, search=search)[1]
    assert restore(tmp_path, slots)[1]


def test_what_decides_the_state_is_in_the_key_and_where_the_images_lie_is_not(store, plan_of):
    plan = plan_of(store)
    one = PriorOutcome(tokens=(0, 1), reward=0.5, accuracy=0.7, unfairness=0.1, macs=1000, feasible=True)
    others = [
        {"seed": plan.seed + 1},
        {"searcher_settings": {**plan.searcher_settings, "gamma": 0.5}},
        {"searcher": "random"},
        {"space_summary": {**plan.space_summary, "another": 1}},
        {"prior": Prior(source="earlier", outcomes=(one,))},
    ]
    keys = {search_key(plan), *(search_key(plan.model_copy(update=other)) for other in others)}
    assert len(keys) == 1 + len(others)
    assert search_key(plan.model_copy(update={"store": "elsewhere"})) == search_key(plan)


def test_a_searcher_without_a_state_is_told_everything(tmp_path):
    slots, made = played(24), SEARCHERS.get("random")(SmallSpace(positions=2), seed=0)
    keep(tmp_path, slots, told=16, made=made)
    assert not list(tmp_path.iterdir())
    keep(tmp_path, slots, told=16)
    other = SEARCHERS.get("random")(SPACE, seed=0)
    assert not SearcherSnapshot(tmp_path, key="this", every=4).restore(other, slots, reward=REWARD)
    assert other.told == 0


@pytest.mark.parametrize("kept", ["in the folder", "nowhere", "in a folder that is none"])
def test_workers_that_keep_snapshots_search_as_those_that_do_not(tmp_path, monkeypatch, kept):
    url, candidates = f"sqlite:///{tmp_path / 'ledger.db'}", {}
    place = {"in the folder": tmp_path, "in a folder that is none": tmp_path / "ledger.db"}.get(kept)
    create_ledger(url, {})
    for trials in (20, 40):
        ledger = Ledger(url)
        ledger.note("target", {"trials": trials})
        snapshot = None if place is None else SearcherSnapshot(place, key="this", every=8, rest_s=0)
        made, learnt = SEARCHERS.get("reinforce")(SPACE, seed=3), []
        monkeypatch.setattr(made, "_learn", lambda one, own=made._learn, seen=learnt: (seen.append(one.slot), own(one)))
        Worker(ledger, made, Game(), snapshot=snapshot).run()
        candidates = {slot.number: slot.tokens for slot in ledger.slots()}
        ledger.close()
    assert (tmp_path / SNAPSHOT_FILE).exists() == (kept == "in the folder")
    assert (learnt[0] > 0) == (kept == "in the folder"), "the second worker need not learn again"
    alone = SEARCHERS.get("reinforce")(SPACE, seed=3)
    game = TokenGame(SPACE, seed=5)
    for number, tokens in candidates.items():
        while alone.told < alone.visible(number):
            past = candidates[alone.told]
            reward = -1.0 if past[0] == 3 else game.reward(alone.told, past)
            alone.tell(Outcome(slot=alone.told, tokens=past, reward=reward))
        assert alone.ask(number) == tokens


def test_what_another_has_just_written_is_left(tmp_path):
    slots = played(24)
    keep(tmp_path, slots, told=16)
    file, made = tmp_path / SNAPSHOT_FILE, searcher()
    before = file.read_bytes()
    for slot in slots[:20]:
        made.tell(outcome(slot, reward=REWARD))
    SearcherSnapshot(tmp_path, key="this", every=4, rest_s=60).keep(made, slots[:20], reward=REWARD)
    assert file.read_bytes() == before
    os.utime(file, (time.time() - 61,) * 2)
    SearcherSnapshot(tmp_path, key="this", every=4, rest_s=60).keep(made, slots[:20], reward=REWARD)
    assert restore(tmp_path, slots)[0].told == 20


def test_an_asynchronous_search_keeps_none(store, plan_of, tmp_path):
    """What its searcher was told of a candidate may be of a lower rung than the ledger has by now."""
    plan = plan_of(store)
    assert make_snapshot(plan, tmp_path).folder == tmp_path
    rungs = plan.rungs.model_copy(update={"promotion": Promotion(asynchronous=True)})
    assert make_snapshot(plan.model_copy(update={"rungs": rungs}), tmp_path) is None


def test_a_searcher_that_cannot_take_its_state_back_is_told_everything(tmp_path, monkeypatch):
    slots = played(24)
    keep(tmp_path, slots, told=16)
    monkeypatch.delattr(ReinforceSearcher, "_restore")
    made, did = restore(tmp_path, slots)
    assert not did
    assert propose(made, slots, 20, reward=REWARD) == slots[20].tokens


WRITER = """
import sys; sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_searcher_snapshot import keep, played
slots = played(24)
while True:
    keep(Path(sys.argv[1]), slots, told=16)
"""


def test_a_writer_that_is_killed_leaves_a_whole_snapshot(tmp_path):
    slots, here = played(24), os.fspath(Path(__file__).parent)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, os.fspath(tmp_path), here])
    until = time.monotonic() + 120
    while not (tmp_path / SNAPSHOT_FILE).exists() and time.monotonic() < until:
        time.sleep(0.003)
    while not (writing := list(tmp_path.glob(".*.tmp"))) and time.monotonic() < until:
        time.sleep(0.0005)
    writer.kill()
    assert writing, "it was killed while it wrote"
    writer.wait()
    assert restore(tmp_path, slots)[1]
    left = tmp_path / f".{SNAPSHOT_FILE}.1.tmp"
    left.write_bytes(b"cut short")
    keep(tmp_path, slots, told=16)
    assert left.exists()  # perhaps its writer is at work
    long_ago = time.time() - 2 * KILLED_S
    os.utime(left, (long_ago, long_ago))
    keep(tmp_path, slots, told=16)
    assert not left.exists()
    assert restore(tmp_path, slots)[1]
