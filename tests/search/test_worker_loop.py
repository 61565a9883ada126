from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mindgap.core.errors import CapacityError, DataError, OutOfMemoryFailure, TrainingFailure
from mindgap.search.agenda import FREE_SLOTS, Target
from mindgap.search.lease import Lease
from mindgap.search.ledger import RUNGS, Ledger, LostLeaseError, Wanted, create_ledger
from mindgap.search.reward import Reward
from mindgap.search.rungs import Promotion, RungPlan
from mindgap.search.searcher import SEARCHERS
from mindgap.search.slot import Slot
from mindgap.search.worker_loop import Trained, Worker
from mindgap.testing.made_slots import attempt, judged, result
from mindgap.testing.token_game import SmallSpace, TokenGame

SPACE = SmallSpace(positions=2)
REWARD = Reward(alpha=0.2, beta=0.8, accuracy_floor=0.0, infeasible=-1.0)


@dataclass
class Game:
    """Candidates of a made-up game: odd first tokens 3 are rejected, nothing is trained."""

    root: Path
    reward: Reward = REWARD
    game: TokenGame = field(default_factory=lambda: TokenGame(SPACE, seed=5))
    before: dict = field(default_factory=dict)
    settled: list = field(default_factory=list)

    def rejection(self, tokens):
        return {"reason": "ratio 3 is over the limit", "reward": -1.0} if tokens[0] == 3 else None

    def train(self, claim, *, epoch_done, between):
        for epoch in (1, 2):
            between()
            if action := self.before.pop((claim.slot, claim.attempt, epoch), None):
                action()
            epoch_done(epoch)
        return Trained({"reward": self.game.reward(claim.slot, claim.tokens)}, (0.5, 0.1, 1.0))

    def keep_error(self, claim, text):
        folder = self.root / "trials" / str(claim.slot) / str(claim.attempt)
        folder.mkdir(parents=True)
        (folder / "error.txt").write_text(text)

    def settle(self, claim):
        self.settled.append((claim.slot, claim.attempt))


def open_ledger(root, *, trials=20):
    url = f"sqlite:///{root / 'ledger.db'}"
    create_ledger(url, {"target": Target(trials=trials).model_dump()})
    return Ledger(url)


def worker(ledger, root, **options):
    return Worker(ledger, SEARCHERS.get("reinforce")(SPACE, seed=3), Game(root, **options))


def record(ledger):
    return [(slot.number, slot.tokens, slot.state, slot.result.get("reward")) for slot in ledger.slots()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    ledger = open_ledger(root)
    worker(ledger, root).run()
    yield record(ledger)
    ledger.close()


def raising(error):
    def action():
        raise error

    return action


def test_it_trains_as_many_as_asked_and_rejected_ones_do_not_count(undisturbed):
    states = [state for _, _, state, _ in undisturbed]
    assert states.count("complete") == 20
    assert states.count("rejected") == len(states) - 20 > 0
    assert [number for number, *_ in undisturbed] == list(range(len(states)))


def test_at_most_four_slots_per_trial_are_used(tmp_path):
    ledger = open_ledger(tmp_path, trials=3)
    rejecting = worker(ledger, tmp_path)
    rejecting.candidates.rejection = lambda tokens: {"reason": "all", "reward": -1.0}
    rejecting.run()
    assert [slot.state for slot in ledger.slots()] == ["rejected"] * 12
    ledger.close()


def test_three_workers_find_the_same_candidates_as_one(tmp_path, undisturbed):
    ledgers = [open_ledger(tmp_path) for _ in range(3)]
    threads = [threading.Thread(target=worker(ledger, tmp_path).run) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert record(ledgers[0]) == undisturbed
    for ledger in ledgers:
        ledger.close()


def test_who_comes_second_takes_the_next_slot_without_looking_again(tmp_path, undisturbed):
    """Another begins the slot between this worker's look and its claim."""
    ledger, other = open_ledger(tmp_path), open_ledger(tmp_path)
    mine = worker(ledger, tmp_path)
    taken = []

    def begin_first(tokens):
        if not taken:
            taken.append(other.claim(Wanted(0, tokens), lease=Lease.current()))
        return Game(tmp_path).rejection(tokens)

    mine.candidates.rejection = begin_first
    mine.candidates.before[1, 1, 1] = mine.stop.set
    mine.run()
    assert [slot.state for slot in ledger.slots()] == ["running", "open"]
    assert [slot.tokens for slot in ledger.slots()] == [tokens for _, tokens, *_ in undisturbed[:2]]
    ledger.close()
    other.close()


def test_nothing_is_taken_instead_that_would_keep_the_others_waiting(tmp_path):
    ledger = open_ledger(tmp_path)
    one = worker(ledger, tmp_path)
    one.candidates.rejection = lambda tokens: None

    def instead(*slots, **target):
        return one._instead(slots, {"target": Target(**target).model_dump()}.get)

    left = Slot((attempt(0, 1, finished=True, ending="parked"),))
    assert instead(trials=20) == Wanted(0, one.searcher.ask(0))
    assert instead(left, trials=20) == Wanted(0, left.tokens, attempt=2)
    assert instead(deadline=time.time() + 99) is None, "whether it fits takes a forecast"
    assert instead(*(judged(i, result()) for i in range(16)), trials=20) is None, "learning"
    assert instead(judged(0, result()), trials=1) is None, "no more is wanted by now"
    one.candidates.rejection = lambda tokens: {"reason": "no", "reward": -1.0}
    assert instead(trials=20) is None
    one.candidates.rejection = lambda tokens: None
    one.stop.set()
    assert instead(left, trials=20) is None
    ledger.close()


def test_who_comes_second_is_given_what_was_promoted_meanwhile_but_nothing_of_an_open_bracket(tmp_path):
    url, tokens = f"sqlite:///{tmp_path / 'ledger.db'}", [(0, 1, 0), (1, 1, 0), (2, 1, 0)]
    rungs = RungPlan(epochs=(1, 4), bracket=2, promotion=Promotion(factor=2))
    create_ledger(url, {"target": Target(trials=3).model_dump(), RUNGS: rungs.model_dump(mode="json")})
    ledger = Ledger(url)
    one = worker(ledger, tmp_path)

    def complete(slot, accuracy):
        mine = ledger.claim(Wanted(slot, tokens[slot]), lease=Lease.current())
        ledger.complete(mine, result=result(accuracy), values=(accuracy, 0.1, 1.0))

    complete(0, 0.5)
    complete(1, 0.9)
    claim = ledger.claim(Wanted(0, tokens[0]), lease=Lease.current(), instead=one._instead)
    assert (claim.slot, claim.attempt, claim.rung, claim.first) == (1, 2, 1, 2)
    ledger.complete(claim, result=result(0.9), values=(0.9, 0.1, 1.0))
    complete(2, 0.7)
    assert [slot.state for slot in ledger.slots()] == ["pruned", "complete", "waiting"]
    assert ledger.claim(Wanted(2, tokens[2]), lease=Lease.current(), instead=one._instead) is None
    ledger.close()


def test_more_trials_later_are_the_trials_of_a_longer_search(tmp_path, undisturbed):
    ledger = open_ledger(tmp_path, trials=5)
    worker(ledger, tmp_path).run()
    ledger.note("target", Target(trials=20).model_dump())
    worker(ledger, tmp_path).run()
    assert record(ledger) == undisturbed
    ledger.close()


def test_a_parked_search_goes_on_where_it_stopped(tmp_path, undisturbed):
    ledger = open_ledger(tmp_path)
    stopping = worker(ledger, tmp_path)
    stopping.candidates.before[undisturbed_slot(undisturbed, 4), 1, 1] = stopping.stop.set
    stopping.run()
    left = ledger.slots()[-1]
    assert (left.state, left.last.ending, left.epoch) == ("open", "parked", 1)
    worker(ledger, tmp_path).run()
    assert record(ledger) == undisturbed
    ledger.close()


def undisturbed_slot(undisturbed, n):
    """Number of the n-th trained slot."""
    return [number for number, _, state, _ in undisturbed if state == "complete"][n]


def test_a_worker_that_lost_its_attempt_leaves_it_and_goes_on(tmp_path, undisturbed):
    ledger = open_ledger(tmp_path)
    zombie = worker(ledger, tmp_path)
    slot = undisturbed_slot(undisturbed, 4)
    zombie.candidates.before[slot, 1, 2] = lambda: ledger.end(zombie.current.row, "lost")
    zombie.run()
    assert len(ledger.slots()[slot].attempts) == 2
    assert record(ledger) == undisturbed
    ledger.close()


def test_a_training_failure_is_a_failed_trial_with_its_reason(tmp_path, undisturbed):
    ledger = open_ledger(tmp_path)
    slot = undisturbed_slot(undisturbed, 4)
    failure = TrainingFailure("loss is nan at epoch 2")
    failure.spent = {"epochs": 2, "image_passes": 400, "seconds": 1.5}
    worker(ledger, tmp_path, before={(slot, 1, 2): raising(failure)}).run()
    failed = ledger.slots()[slot]
    assert {name: failed.result[name] for name in failure.spent} == failure.spent
    assert (failed.state, failed.reason, failed.result["reward"]) == ("failed", "loss is nan at epoch 2", -1.0)
    assert sum(slot.trained for slot in ledger.slots()) == 20
    ledger.close()


def test_a_crash_is_tried_once_more_and_leaves_its_traceback(tmp_path, undisturbed):
    ledger = open_ledger(tmp_path)
    slot = undisturbed_slot(undisturbed, 4)
    worker(ledger, tmp_path, before={(slot, 1, 1): raising(ValueError("odd shape"))}).run()
    assert record(ledger) == undisturbed
    assert "ValueError: odd shape" in (tmp_path / "trials" / str(slot) / "1" / "error.txt").read_text()
    ledger.close()


def test_a_crash_counts_though_its_traceback_cannot_be_kept(tmp_path, undisturbed):
    """Else a candidate that crashes and fills the disk would look like one whose worker was killed."""
    ledger = open_ledger(tmp_path)
    slot = undisturbed_slot(undisturbed, 4)
    crashing = worker(ledger, tmp_path, before={(slot, 1, 1): raising(ValueError("odd shape"))})

    def full(claim, text):
        raise CapacityError("no space left on device")

    crashing.candidates.keep_error = full
    crashing.run()
    assert record(ledger) == undisturbed
    assert ledger.slots()[slot].attempts[0].ending == "crashed"
    ledger.close()


def test_two_crashes_retire_the_candidate_and_the_search_goes_on(tmp_path, undisturbed):
    ledger = open_ledger(tmp_path)
    slot = undisturbed_slot(undisturbed, 4)
    crash = raising(ValueError("odd shape"))
    worker(ledger, tmp_path, before={(slot, 1, 1): crash, (slot, 2, 2): crash}).run()
    failed = ledger.slots()[slot]
    assert (failed.state, failed.reason) == ("failed", "crashed 2 times: ValueError: odd shape")
    assert sum(slot.trained for slot in ledger.slots()) == 20
    ledger.close()


@pytest.mark.parametrize("attempts", [1, 2])
def test_running_out_of_memory_is_tried_once_more_before_it_is_the_candidates_fault(tmp_path, undisturbed, attempts):
    ledger = open_ledger(tmp_path)
    slot = undisturbed_slot(undisturbed, 4)
    full = raising(OutOfMemoryFailure(64))
    worker(ledger, tmp_path, before={(slot, attempt, 1): full for attempt in range(1, attempts + 1)}).run()
    if attempts == 1:
        assert record(ledger) == undisturbed
    else:
        reason = "crashed 2 times: out of memory with batches of 64; use smaller batches"
        assert (ledger.slots()[slot].state, ledger.slots()[slot].reason) == ("failed", reason)
    ledger.close()


def test_a_mistake_in_one_candidate_does_not_stop_the_search(tmp_path, undisturbed):
    ledger = open_ledger(tmp_path)
    slot = undisturbed_slot(undisturbed, 4)
    odd = raising(DataError("its predictions are damaged"))
    worker(ledger, tmp_path, before={(slot, 1, 1): odd, (slot, 2, 1): odd}).run()
    failed = ledger.slots()[slot]
    assert (failed.state, failed.reason) == ("failed", "crashed 2 times: DataError: its predictions are damaged")
    assert sum(slot.trained for slot in ledger.slots()) == 20
    ledger.close()


def test_a_candidate_is_tidied_when_its_result_is_in_the_ledger_and_not_before(tmp_path):
    ledger = open_ledger(tmp_path, trials=3)
    game = worker(ledger, tmp_path, before={(0, 1, 2): raising(ValueError("odd"))})
    game.run()
    trained = [(slot.number, slot.last.attempt) for slot in ledger.slots() if slot.trained]
    assert game.candidates.settled == trained
    assert (0, 1) not in trained
    ledger.close()


def test_a_full_disk_parks_the_candidate_and_stops_the_worker(tmp_path, undisturbed):
    ledger = open_ledger(tmp_path)
    slot = undisturbed_slot(undisturbed, 4)
    with pytest.raises(CapacityError, match="no space"):
        worker(ledger, tmp_path, before={(slot, 1, 1): raising(CapacityError("no space"))}).run()
    assert ledger.slots()[slot].state == "open"
    ledger.close()


def test_without_a_number_of_trials_a_search_that_rejects_everything_ends(tmp_path):
    ledger = open_ledger(tmp_path)
    ledger.note("target", Target().model_dump())
    rejecting = worker(ledger, tmp_path)
    rejecting.candidates.rejection = lambda tokens: {"reason": "all", "reward": -1.0}
    rejecting.run()
    assert len(ledger.slots()) == FREE_SLOTS
    ledger.close()


def test_no_candidate_is_begun_after_the_deadline(tmp_path):
    ledger = open_ledger(tmp_path)
    ledger.note("target", Target(deadline=0.0).model_dump())
    worker(ledger, tmp_path).run()
    assert ledger.slots() == []
    ledger.close()


def test_a_candidate_that_would_end_after_the_deadline_is_not_begun_and_ends_the_search(tmp_path, undisturbed):
    ledger = open_ledger(tmp_path)
    target = Target(trials=20, deadline=time.time() + 3600)
    ledger.note("target", target.model_dump())
    asked = []

    def fits(tokens, slots, deadline):
        asked.append((len(slots), tokens, deadline))
        return len(slots) < 5

    limited = worker(ledger, tmp_path)
    limited.fits = fits
    limited.run()
    assert len(ledger.slots()) == 5
    assert asked[-1][2] == target.deadline
    assert ledger.notes()["target"] == target.model_copy(update={"end": 5}).model_dump()
    ledger.note("target", Target(trials=20).model_dump())
    worker(ledger, tmp_path).run()
    assert record(ledger) == undisturbed
    ledger.close()


def test_what_a_lost_attempt_still_writes_is_refused_by_its_slot_and_number(tmp_path, undisturbed):
    ledger, said = open_ledger(tmp_path), []
    zombie = worker(ledger, tmp_path)
    slot = undisturbed_slot(undisturbed, 4)

    def write_too_late():
        ledger.end(zombie.current.row, "lost")
        try:
            ledger.epoch_done(zombie.current, 1)
        except LostLeaseError as error:
            said.append(str(error))
            raise

    zombie.candidates.before[slot, 1, 1] = write_too_late
    zombie.run()
    assert said == [f"slot {slot}, attempt 1"]
    assert [attempt.epoch for attempt in ledger.slots()[slot].attempts] == [0, 2]
    ledger.close()
