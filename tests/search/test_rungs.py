"""Which candidates are trained on, decided by hand and by property."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mindgap.core.seed import numpy_generator
from mindgap.metrics.pareto import non_dominated_rank
from mindgap.search.agenda import Target, closing_due, next_job, outcome, rung_due
from mindgap.search.decider import Decider, best_first, brackets
from mindgap.search.reward import Reward
from mindgap.search.rungs import Promotion, RungPlan, default_rungs
from mindgap.search.searchers.random import RandomSearcher
from mindgap.search.slot import Slot
from mindgap.testing.made_slots import attempt, judged, rejected, result, running
from mindgap.testing.token_game import SmallSpace

SEARCHER = RandomSearcher(SmallSpace(), seed=0)
REWARD = Reward(alpha=1.0, beta=1.0, accuracy_floor=0.0, infeasible=-2.0)


def plan(*epochs, bracket=4, **promotion):
    promotion = {"control_share": 0.0, "factor": 4} | promotion
    return RungPlan(epochs=epochs or (1, 4, 16), bracket=bracket, promotion=Promotion(**promotion))


def states(slots, rungs, closings=()):
    return [slot.state for slot in Decider(rungs)(slots, closings)]


def by_accuracy(*accuracies):
    return [judged(i, result(accuracy)) for i, accuracy in enumerate(accuracies)]


def test_rungs_are_quarters_while_a_judged_copy_is_worth_it():
    assert [default_rungs(epochs) for epochs in (500, 64, 20, 16, 8, 6, 4, 3, 1)] == [
        (2, 8, 31, 125, 500), (1, 4, 16, 64), (1, 5, 20), (1, 4, 16), (2, 8), (2, 6), (1, 4), (3,), (1,),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("epochs", "said"), [((4, 4, 16), "must rise"), ((1, 15, 16), "decays from 13"), ((), "1 item")]
)
def test_rungs_that_cannot_be_climbed_are_refused(epochs, said):
    with pytest.raises(ValidationError, match=said):
        RungPlan(epochs=epochs)


def test_a_rung_trains_to_its_plateau_and_a_copy_beyond():
    rungs = RungPlan(epochs=(1, 5, 20))
    assert [rungs.training(rung) for rung in range(3)] == [
        {"epochs": 2, "decay_epochs": 1}, {"epochs": 6, "decay_epochs": 1}, {"epochs": 20, "decay_epochs": 4},
    ]  # fmt: skip
    assert RungPlan(epochs=(20,)).training(0) == {"epochs": 20}


def test_brackets_end_where_they_are_full_or_closed():
    assert list(brackets(21, 8, [12])) == [(0, 8, True), (8, 12, True), (12, 20, True), (20, 21, False)]
    assert list(brackets(8, 8, [])) == [(0, 8, True)]
    assert list(brackets(0, 8, [])) == []


def test_the_best_quarter_of_a_bracket_goes_on_and_the_others_stop():
    slots = by_accuracy(0.5, 0.9, 0.6, 0.7)
    assert states(slots, plan()) == ["pruned", "open", "pruned", "pruned"]
    assert [rung_due(slot) for slot in Decider(plan())(slots) if slot.state == "open"] == [1]


def test_an_unfinished_bracket_waits_and_a_closed_one_does_not():
    slots = by_accuracy(0.5, 0.9, 0.6)
    assert states(slots, plan()) == ["waiting"] * 3
    assert states(slots, plan(), closings=[3]) == ["pruned", "open", "pruned"]
    assert states([*slots, running(3)], plan()) == ["waiting"] * 3 + ["running"]


def test_a_bracket_of_worse_candidates_sends_nobody_on():
    slots = by_accuracy(0.9, 0.8, 0.7, 0.6, 0.1, 0.2, 0.3, 0.4)
    assert states(slots, plan()) == ["open"] + ["pruned"] * 7


def test_a_bracket_of_better_candidates_sends_its_share_and_no_more():
    slots = by_accuracy(*[0.1] * 16, 0.6, 0.7, 0.8, 0.9)
    assert states(slots, plan())[16:] == ["pruned", "pruned", "pruned", "open"]


def test_a_later_bracket_changes_nothing_of_an_earlier():
    slots = by_accuracy(0.5, 0.9, 0.6, 0.7, 0.99, 0.98, 0.97, 0.96)
    assert states(slots, plan())[:4] == states(slots[:4], plan())


def test_equal_ranks_go_to_the_reward_and_then_to_the_slot():
    traded = [
        judged(i, result(0.5 + i / 10, 0.1 + i / 10, reward=reward)) for i, reward in enumerate((0, 0.1, 0.3, 0.3))
    ]
    assert states(traded, plan()) == ["pruned", "pruned", "open", "pruned"]


def test_the_rank_is_of_the_objectives_that_are_asked_for():
    slots = [judged(0, result(0.9, 0.5)), judged(1, result(0.5, 0.1)), judged(2, result(0.4, 0.3)), rejected(3)]
    assert states(slots, plan(objectives=("unfairness",)))[:3] == ["pruned", "open", "pruned"]
    assert states(slots, plan(objectives=("accuracy",)))[:3] == ["open", "pruned", "pruned"]


def test_rejected_and_failed_candidates_hold_nobody_up():
    crashed = Slot(tuple(attempt(1, n, finished=True, ending="crashed", detail="no") for n in (1, 2)))
    slots = [judged(0, result(0.9)), crashed, rejected(2), judged(3, result(0.2))]
    assert states(slots, plan()) == ["open", "failed", "rejected", "pruned"]


def test_the_climb_of_one_bracket_to_the_top():
    first = [
        judged(0, result(0.5)),
        judged(1, result(0.9), result(0.8)),
        judged(2, result(0.6)),
        judged(3, result(0.7)),
    ]
    assert states(first, plan())[1] == "open"
    first[1] = judged(1, result(0.9), result(0.8), result(0.95))
    assert states(first, plan()) == ["pruned", "complete", "pruned", "pruned"]


def test_at_a_higher_rung_a_bracket_is_compared_with_those_before():
    first = [judged(0, result(0.9), result(0.9), result(0.9)), *(judged(i, result(0.1)) for i in (1, 2, 3))]
    second = [judged(4, result(0.95), result(0.5)), *(judged(i, result(0.1)) for i in (5, 6, 7))]
    assert states(first + second, plan())[4] == "pruned"
    second[0] = judged(4, result(0.95), result(0.99))
    assert states(first + second, plan())[4] == "open"


def test_without_rungs_everything_is_as_it_was():
    assert states(by_accuracy(0.5, 0.9), plan(16)) == ["complete", "complete"]


def test_the_control_group_runs_to_the_end_but_the_searcher_hears_of_its_stop():
    rungs = plan(control_share=1.0)
    early = result(0.5)
    slots = [judged(0, early), judged(1, result(0.9)), judged(2, result(0.6)), judged(3, result(0.7))]
    decided = Decider(rungs)(slots)
    assert [slot.state for slot in decided] == ["open"] * 4
    assert [slot.is_control for slot in decided] == [True, False, True, True]
    assert outcome(decided[0], reward=REWARD).reward == early["reward"]
    assert decided[1].outcome is None, "a promoted candidate is heard of when it has stopped"
    slots[0] = judged(0, early, result(0.99), result(0.99))
    control = Decider(rungs)(slots)[0]
    assert control.state == "complete"
    assert outcome(control, reward=REWARD).reward == early["reward"]


def test_the_control_group_takes_its_share_whatever_else_happens():
    rungs = plan(control_share=0.1)
    share = np.mean([rungs.is_control(slot) for slot in range(4000)])
    assert 0.085 < share < 0.115
    assert [rungs.is_control(slot) for slot in range(50)] == [plan(control_share=0.1).is_control(s) for s in range(50)]


def test_promoted_before_new_before_control():
    searcher, target = SEARCHER, Target(trials=20)
    slots = by_accuracy(0.5, 0.9, 0.6, 0.7)
    assert next_job(Decider(plan(control_share=1.0))(slots), searcher, target).slot == 1
    slots[1] = Slot((*slots[1].attempts, attempt(1, 2, rung=1)))
    job = next_job(Decider(plan(control_share=1.0))(slots), searcher, target)
    assert (job.kind, job.slot) == ("begin", 4)
    job = next_job(Decider(plan(control_share=1.0))(slots), searcher, Target(trials=4))
    assert (job.kind, job.slot) == ("resume", 0)


def test_an_attempt_that_was_lost_is_taken_up_at_its_own_rung():
    lost = attempt(1, 2, rung=1, finished=True, ending="lost", detail="gone")
    slots = by_accuracy(0.5, 0.9, 0.6, 0.7)
    slots[1] = Slot((*slots[1].attempts, lost))
    slot = Decider(plan())(slots)[1]
    assert (slot.state, rung_due(slot)) == ("open", 1)


def test_deaths_are_counted_anew_at_a_new_rung():
    def died(number, rung, epoch):
        return attempt(0, number, rung=rung, finished=True, ending="lost", detail="gone", epoch=epoch)

    below = [*(died(n, 0, 2) for n in (1, 2, 3, 4)), attempt(0, 5, rung=0, found=result(), epoch=2)]
    assert Slot((*below, died(6, 1, 1))).state == "open"
    assert Slot((*below, *(died(n, 1, 0) for n in (6, 7, 8, 9, 10)))).state == "failed"


def test_crashes_are_counted_anew_at_a_new_rung():
    """Memory that ran out once at a rung that was then judged says nothing against a promoted candidate."""

    def crashed(number, rung, epoch):
        return attempt(0, number, rung=rung, finished=True, ending="crashed", detail="no memory", epoch=epoch)

    below = (crashed(1, 0, 0), attempt(0, 2, rung=0, found=result(), epoch=2))
    assert Slot((*below, crashed(3, 1, 3))).state == "open"
    assert Slot((*below, crashed(3, 1, 0), crashed(4, 1, 0))).state == "failed"
    assert Slot((*below, crashed(3, 1, 3), crashed(4, 1, 5))).state == "failed", "twice at one rung is enough"
    assert Slot((crashed(1, 0, 0), crashed(2, 0, 0))).reason == "crashed 2 times: no memory"


def test_who_was_never_judged_is_of_no_control_group():
    decided = Decider(plan(control_share=1.0))([*by_accuracy(0.5, 0.9, 0.6), rejected(3)])
    assert [slot.is_control for slot in decided] == [True, False, True, False]


def test_a_search_that_ends_within_a_bracket_closes_it_once_nothing_runs():
    waiting = Decider(plan())(by_accuracy(0.5, 0.9, 0.6))
    assert closing_due(waiting, SEARCHER, Target(trials=3))
    assert not closing_due(waiting, SEARCHER, Target(trials=4))
    assert not closing_due(Decider(plan())([*by_accuracy(0.5, 0.9), running(2)]), SEARCHER, Target(trials=3))
    assert not closing_due(Decider(plan())(by_accuracy(0.5, 0.9, 0.6), [3]), SEARCHER, Target(trials=3))


def test_on_arrival_a_candidate_goes_on_as_soon_as_it_is_among_the_best_so_far():
    rungs = plan(asynchronous=True, control_share=1.0)
    assert states(by_accuracy(0.5, 0.9, 0.6), rungs) == ["waiting"] * 3
    five = by_accuracy(0.5, 0.9, 0.6, 0.7, 0.1)
    assert states(five, rungs) == ["waiting", "open", "waiting", "waiting", "waiting"]
    begun = [*five[:1], Slot((*five[1].attempts, attempt(1, 2, rung=1))), *five[2:], *by_accuracy(*[0] * 5, 0.95)[5:]]
    assert states(begun, rungs)[1] == "running", "what has begun is not called back"
    assert states(five, rungs, closings=[5]) == ["pruned"] * 5


def test_a_network_that_is_a_few_per_cent_smaller_is_no_better_trade():
    """Steps of half a doubling: 58 and 60 M are one, 30 M another; of one step the better reward goes first."""
    found = [result(0.7, macs=60_000_000), result(0.75, macs=58_000_000), result(0.7, macs=30_000_000)]
    assert best_first(found, ["macs"]) == [2, 1, 0]
    assert best_first(found, ["accuracy", "unfairness", "macs"]) == [1, 2, 0]
    smaller = [result(0.75, macs=58_000_000), result(0.74, macs=57_000_000)]
    assert best_first(smaller, ["accuracy", "unfairness", "macs"]) == [0, 1]
    ranks = non_dominated_rank([[0.75, 58e6], [0.74, 57e6]], (True, False))
    assert ranks.tolist() == [0, 0], "with the exact cost both would be on the front"
    assert best_first([], ["macs"]) == []
    assert best_first([result(macs=0), result(macs=1)], ["macs"]) == [0, 1]


@st.composite
def ledgers(draw):
    """Results of every slot at every rung, and how many slots there are."""
    values = draw(st.lists(st.integers(0, 20), min_size=1, max_size=40))
    return values, draw(st.integers(2, 9)), draw(st.integers(0, 5))


@settings(max_examples=300)
@given(ledgers())
def test_a_search_played_to_its_end_settles_everything_and_never_takes_a_decision_back(drawn):
    values, bracket, seed = drawn
    rungs = RungPlan(epochs=(1, 4, 16), seed=seed, bracket=bracket, promotion=Promotion(control_share=0.2, factor=3))
    slots: list[Slot] = []
    decided: dict[tuple[int, int], bool] = {}
    order = numpy_generator(seed, "order")
    remembering = Decider(rungs)
    closings: list[int] = []
    while True:
        now = remembering(slots, closings)
        assert [slot.fate for slot in now] == [slot.fate for slot in Decider(rungs)(slots, closings)]
        for slot in now:
            for rung in slot.judged:
                goes_on = slot.fate.stop > rung
                if goes_on or slot.fate.final:
                    assert decided.setdefault((slot.number, rung), goes_on) == goes_on
        todo = [slot for slot in now if slot.state == "open"]
        if len(slots) < len(values) and (not todo or order.random() < 0.5):
            slots.append(judged(len(slots), result(values[len(slots)])))
        elif todo:
            slot = todo[order.integers(len(todo))]
            found = [*slot.judged.values(), result(values[slot.number] * (-1) ** slot.rung)]
            slots[slot.number] = judged(slot.number, *found)
        elif closing_due(now, SEARCHER, Target(trials=len(values))):
            closings.append(len(slots))
        else:
            break
    assert all(slot.settled and slot.outcome is not None for slot in now)
    assert any(slot.state == "complete" for slot in now)
    natural = sum(slot.fate.stop > 0 for slot in now)
    full = -(-len(slots) // bracket)
    assert natural <= full * -(-bracket // 3)
