"""What is left of a search: expected epochs by rung, seconds by network, and what a deadline allows."""

from __future__ import annotations

import time

import pytest

from mindgap.search.agenda import Target
from mindgap.search.forecast import Forecast
from mindgap.search.lease import Lease
from mindgap.search.ledger import RUNGS, Ledger, Wanted, create_ledger
from mindgap.search.options import merge_options
from mindgap.search.planning import _expected_trials, make_target
from mindgap.search.slot import Attempt, Fate, Slot
from mindgap.search.status import _seconds_left, search_status
from mindgap.search.worker import ledger_url, work

TOKENS = (0, 2, 2, 0)  # two skips
LARGER = (0, 0, 1, 1, 1, 2, 1)
OPEN = Fate(top=2, final=False)


@pytest.fixture
def plan(store, plan_of):
    """Rungs of 1, 4 and 16 epochs, one of four promoted, no control group."""
    return plan_of(store, epochs=16, rungs="1,4,16", promotion={"control_share": 0.0})


@pytest.fixture
def forecast(plan, store, tmp_path):
    return Forecast(plan, plan.open_space(store, run=tmp_path / "run"))


def slot(forecast, number=0, *, tokens=TOKENS, rung=0, epoch=0, done=None, fate=OPEN, factor=1.0):
    """A slot whose attempt runs (done is None) or has a result that took ``factor`` times what was predicted."""
    architecture = forecast.space.decode(tokens).architecture
    passes = forecast.rung_epochs(rung) * forecast.plan.cost.images_per_epoch
    seconds = factor * passes * forecast.plan.cost.image_seconds(architecture)
    result = {"image_passes": passes, "seconds": seconds}
    attempt = Attempt(
        number=number, slot=number, attempt=1, tokens=tokens, finished=done is not None, lease=None, epoch=epoch,
        ending=None, detail="", result=None if done is None else result | {"state": done, "reward": 0.1},
        seconds=seconds if done else None, rung=rung,
    )  # fmt: skip
    return Slot((attempt,), fate)


def epoch_s(forecast, tokens=TOKENS):
    return forecast.plan.cost.epoch_seconds(forecast.space.decode(tokens).architecture)


def test_epochs_of_rungs_and_their_expectation(forecast):
    rungs = forecast.plan.rungs
    own = [forecast.rung_epochs(rung) for rung in range(3)]
    assert own[0] == rungs.training(0)["epochs"]
    assert own[2] == 16 - 4
    assert forecast.epochs_beyond(2) == 0
    assert forecast.epochs_beyond(1) == own[2] / 4
    assert forecast.candidate_epochs == pytest.approx(own[0] + own[1] / 4 + own[2] / 16)


def test_the_control_group_counts(store, plan_of):
    plan = plan_of(store, epochs=16, rungs="1,4,16", promotion={"control_share": 1.0})
    forecast = Forecast(plan)
    assert forecast.candidate_epochs == sum(forecast.rung_epochs(rung) for rung in range(3))


def test_what_is_left_of_a_candidate_depends_on_where_it_is(forecast):
    own = [forecast.rung_epochs(rung) for rung in range(3)]
    beyond = own[1] / 4 + own[2] / 16
    assert forecast.left_epochs(slot(forecast)) == pytest.approx(own[0] + beyond)
    assert forecast.left_epochs(slot(forecast, epoch=1)) == pytest.approx(own[0] - 1 + beyond)
    assert forecast.left_epochs(slot(forecast, done="complete")) == pytest.approx(beyond)  # waits for its bracket
    promoted = Fate(aim=1, stop=1, top=2, final=False)
    assert forecast.left_epochs(slot(forecast, done="complete", fate=promoted)) == pytest.approx(own[1] + own[2] / 4)
    control = Fate(aim=2, stop=0, top=2, final=True)
    assert forecast.left_epochs(slot(forecast, done="complete", fate=control)) == own[1] + own[2]
    assert forecast.left_epochs(slot(forecast, rung=2, epoch=10, fate=Fate(aim=2, stop=2, top=2))) == 6
    assert forecast.left_epochs(slot(forecast, done="complete", fate=Fate(top=2))) == 0
    assert forecast.left_epochs(slot(forecast, done="failed")) == 0


def test_seconds_follow_the_network_and_the_load(forecast):
    small, large = epoch_s(forecast), epoch_s(forecast, LARGER)
    assert large > small
    done = slot(forecast, 0, done="complete", fate=Fate(top=2), factor=5.0)
    running = slot(forecast, 1, tokens=LARGER)
    assert forecast.level([done]) == pytest.approx(5)
    assert forecast.left_seconds([done, running]) == pytest.approx(5 * large * forecast.candidate_epochs)
    mean = (small + large) / 2
    more = forecast.left_seconds([done, running], new=3) - forecast.left_seconds([done, running])
    assert more == pytest.approx(5 * 3 * mean * forecast.candidate_epochs)


def test_the_level_is_the_median_of_the_latest_results(forecast):
    assert (
        forecast.level([]) == forecast.level([slot(forecast)]) == forecast.level([slot(forecast, done="failed")]) == 1
    )
    done = [slot(forecast, number, done="complete", factor=1.0) for number in range(30)]
    assert forecast.level(done) == pytest.approx(1)
    busy = [slot(forecast, 30 + number, done="complete", factor=3.0) for number in range(16)]
    assert forecast.level([*done, *busy]) == pytest.approx(3)


def test_without_the_store_all_networks_count_alike(forecast, plan):
    blind = Forecast(plan)
    assert blind.left_seconds([slot(forecast)]) is None
    slots = [slot(forecast, 0, done="complete", fate=Fate(top=2)), slot(forecast, 1, tokens=LARGER)]
    assert blind.left_seconds(slots) == pytest.approx(epoch_s(forecast) * forecast.candidate_epochs)


def test_a_candidate_that_would_end_after_the_deadline_does_not_fit(forecast):
    whole = epoch_s(forecast, LARGER) * forecast.candidate_epochs
    done = slot(forecast, 0, done="complete", fate=Fate(top=2))
    now = time.time()
    assert forecast.fits(LARGER, [done], now + whole + 60)
    assert forecast.fits(LARGER, [done], now + 60)
    assert not forecast.fits(LARGER, [done], now - 60)
    slow = slot(forecast, 0, done="complete", fate=Fate(top=2), factor=1e5)
    assert not forecast.fits(LARGER, [slow], now + 0.5e5 * whole)
    assert forecast.fits(LARGER, [slow], now + 0.95e5 * whole + 60)


def test_the_first_candidate_always_fits_and_one_that_failed_is_none(forecast):
    assert forecast.fits(LARGER, [], time.time() - 1)
    assert forecast.fits(LARGER, [slot(forecast, done="failed")], time.time() - 1)
    assert not forecast.fits(LARGER, [slot(forecast)], time.time() - 1)


def test_a_budget_allows_more_with_more_workers(forecast):
    """A candidate takes a second beside its training."""
    sample = [forecast.space.decode(TOKENS).architecture]
    whole_s = epoch_s(forecast) * forecast.candidate_epochs + 1
    assert forecast.expected_trials(sample, hours=10.5 * whole_s / 3600, workers=1) == 10
    assert forecast.expected_trials(sample, hours=10.5 * whole_s / 3600, workers=2) == 21
    assert forecast.expected_trials(sample, hours=1e-12, workers=1) == 1


def test_a_budget_is_translated_before_the_search_if_parts_were_timed(store, plan_of, tmp_path):
    plan, options = plan_of(store), merge_options(None, {"trials": 7})
    space = plan.open_space(store, run=tmp_path / "run")
    expected, said = _expected_trials(options, plan, space, hours=2)
    assert expected is None
    assert said == "how many candidates a budget of 2 h allows is known once one is trained: see --status"
    timed = plan.model_copy(update={"cost": plan.cost.model_copy(update={"timed": 20})})
    expected, said = _expected_trials(options, timed, space, hours=2)
    assert expected == 7  # as many as are asked for
    number = int(said.removeprefix("a budget of 2 h allows about ").split(" ", 1)[0])
    assert 1000 < number <= 7200


def test_time_left_is_the_work_over_the_workers_and_at_most_the_deadline(forecast):
    slots = [slot(forecast, 0, done="complete", fate=Fate(top=2)), slot(forecast, 1), slot(forecast, 2)]
    each = epoch_s(forecast) * forecast.candidate_epochs

    def left(target, *, at_work=2, spent_s=0.0):
        return _seconds_left(slots, target, forecast, at_work=at_work, spent_s=spent_s)

    assert left(Target(trials=5)) == pytest.approx(4 * each / 2)
    assert left(Target(trials=3)) == pytest.approx(2 * each / 2)
    assert left(Target(trials=5), at_work=0) == pytest.approx(4 * each)
    spent_s = sum(one.seconds for one in slots) / 4
    assert left(Target(trials=5), at_work=0, spent_s=spent_s) == pytest.approx(each)
    assert left(Target(deadline=time.time() + 1e6)) == pytest.approx(1e6, abs=5)
    assert left(Target(trials=5, deadline=time.time() + each)) == pytest.approx(each, abs=1)
    assert left(Target(deadline=time.time() - 1)) == pytest.approx(2 * each / 2)
    assert _seconds_left(slots[:1], Target(trials=1), forecast, at_work=0, spent_s=0.0) == 0
    assert _seconds_left(slots, Target(trials=5), None, at_work=2, spent_s=1.0) is None


def test_a_search_that_ended_before_its_deadline_stays_so_for_the_same_budget():
    options = merge_options(None, {"budget_hours": 1.0})
    ended = make_target(options, spent_s=0.0).model_copy(update={"end": 7})
    assert make_target(options, spent_s=10.0, earlier=ended).end == 7
    assert make_target(merge_options(None, {"budget_hours": 2.0}), spent_s=10.0, earlier=ended).end is None
    assert ended.without_deadline() == Target()


def test_a_worker_begins_nothing_that_the_time_does_not_suffice_for(forecast, plan, tmp_path):
    """After a candidate that took 11 days an hour is too little for a second one."""
    run = tmp_path / "run"
    target = Target(deadline=time.time() + 3600)
    notes = {"plan": plan.model_dump(mode="json"), "target": target.model_dump(), "expected_trials": 40}
    create_ledger(ledger_url(run), notes | {RUNGS: plan.rungs.model_dump(mode="json")})
    (run / "config.toml").touch()  # by which a worker knows the folder of a search
    ledger = Ledger(ledger_url(run))
    claim = ledger.claim(Wanted(0, TOKENS), lease=Lease.current())
    done = slot(forecast, done="complete").result
    figures = {"seconds": 1e6, "accuracy": 0.5, "unfairness": 0.1, "macs": 1000}
    ledger.complete(claim, result=dict(done) | figures, values=(0.5, 0.1, 1000.0))
    status = search_status(run)
    assert (status["waiting"], status["expected"]) == (1, 40)
    # Two epochs took 10⁶ s; expected are a quarter of the next rung's 4 and a sixteenth of the last one's 12.
    assert status["time_left"] == "10 days, 3:03:20"
    work(run)
    assert [one.number for one in ledger.slots() if one.number > 0] == []
    assert ledger.notes()["target"]["end"] == 1
    ledger.close()
