"""What each slot of a comparison trains."""

from __future__ import annotations

import pytest

from mindgap.search.method_order import TPE_STARTUP, MethodOrder
from mindgap.search.method_plan import MethodPlan, MethodRun, quantile, read_method_plan
from mindgap.search.searcher import Outcome
from mindgap.space.architecture import Architecture, Head, Stem
from mindgap.train.precision import FP32
from mindgap.train.settings import TrainSettings
from mindgap.train.tuning_range import OneOf, Range

TUNED = {"erm": {}, "a": {"strength": Range(0.1, 10.0)}, "b": {"eta": Range(0.0, 1.0, log=False), "on": OneOf((1, 2))}}


def plan(**changes: object) -> MethodPlan:
    numbers = {
        "store": "store",
        "fingerprint": "f",
        "attribute": "sex",
        "seed": 5,
        "methods": tuple(TUNED),
        "tuned": TUNED,
        "trials": 3,
        "seeds": 2,
        "tuner": "random",
        "select": "worst_group_accuracy",
        "architecture": Architecture(
            name="tiny", input_px=16, num_classes=3, stem=Stem(channels=4), blocks=(), head=Head(width=8)
        ),
        "training": TrainSettings(),
        "min_group": 30,
        "excluded_groups": (),
        "precision_plan": FP32,
    }
    return MethodPlan(**numbers | changes)


def told(order: MethodOrder, slot: int, worst: dict[tuple[int, ...], float] | None = None) -> tuple[int, ...]:
    """Tells what the slot depends on and asks; without a figure a run failed."""
    while order.told < order.visible(slot):
        earlier = order.told
        tokens = told(MethodOrder(order.plan), earlier, worst)
        reached = (worst or {}).get(tokens[:2])
        known = {} if reached is None else {"accuracy": 0.8, "unfairness": 0.1}
        order.tell(Outcome(earlier, tokens, -1.0 if reached is None else reached, **known))
    return order.ask(slot)


def test_every_method_has_its_defaults_and_the_same_number_of_tuning_runs():
    made = plan()
    runs = [MethodRun.of(told(MethodOrder(made), slot)) for slot in range(made.tuning_slots)]
    assert [(run.trial, run.method) for run in runs] == [(trial, m) for trial in range(3) for m in range(3)]
    assert all(run.seed == -1 for run in runs)
    assert all(not run.quantiles for run in runs[:3])
    assert {made.run_seed(run) for run in runs} == {made.run_seed(runs[0])}
    assert (
        made.settings(runs[1]).model_dump()
        == made.training.model_copy(update={"mitigation": "a", "seed": made.run_seed(runs[1])}).model_dump()
    )


def test_all_methods_have_the_same_learning_rates_and_options_within_their_ranges():
    made = plan(trials=12)
    by_trial: dict[int, set[float | None]] = {}
    for slot in range(3, made.tuning_slots):
        run = MethodRun.of(told(MethodOrder(made), slot))
        lr, options = made.tuned_values(run)
        by_trial.setdefault(run.trial, set()).add(lr)
        assert made.lr_range.low <= lr <= made.lr_range.high
        assert set(options) == set(TUNED[made.methods[run.method]])
        assert 0.1 <= options.get("strength", 1.0) <= 10.0
        assert options.get("on", 1) in {1, 2}
    assert all(len(rates) == 1 for rates in by_trial.values())
    assert len(set().union(*by_trial.values())) == 11


def test_a_random_order_waits_for_nothing_before_the_judged_runs():
    order = MethodOrder(plan())
    assert [order.visible(slot) for slot in (0, 8, 9, 14)] == [0, 0, 9, 9]
    learning = MethodOrder(plan(tuner="tpe"))
    assert [learning.visible(slot) for slot in (0, 2, 3, 8, 9)] == [0, 0, 3, 6, 9]


def test_judged_runs_take_the_chosen_options_with_the_same_seeds_for_all():
    made = plan()
    worst = {(m, trial): 0.5 + 0.1 * (trial == m) for m in range(3) for trial in range(3)}
    for slot in range(9, 15):
        run = MethodRun.of(told(MethodOrder(made), slot, worst))
        assert (run.method, run.trial, run.seed) == ((slot - 9) % 3, (slot - 9) % 3, (slot - 9) // 3)
        assert made.run_seed(run) == 5 + run.seed
        expected = MethodRun.of(told(MethodOrder(made), run.trial * 3 + run.method)).quantiles
        assert run.quantiles == expected


def test_a_method_whose_tuning_runs_all_failed_has_no_options_and_the_others_go_on():
    worst = {(m, trial): 0.5 for m in (0, 2) for trial in range(3)}
    assert told(MethodOrder(plan()), 10, worst) == (1, -1, 0)
    assert told(MethodOrder(plan()), 11, worst)[:3] == (2, 0, 0)


def test_without_tuning_the_defaults_are_judged():
    assert told(MethodOrder(plan(trials=0)), 4) == (1, 0, 1)


def test_tpe_draws_as_the_random_tuner_does_until_it_has_something_to_learn_from():
    trials = TPE_STARTUP + 3
    worst = {(m, trial): 0.5 + 0.05 * trial for m in range(3) for trial in range(trials)}
    random, learning = (plan(trials=trials, tuner=tuner) for tuner in ("random", "tpe"))
    alike = [
        told(MethodOrder(random), slot, worst) == told(MethodOrder(learning), slot, worst)
        for slot in range(3 * (TPE_STARTUP + 1))
    ]
    assert all(alike[: 3 * TPE_STARTUP])
    assert not any(alike[3 * TPE_STARTUP :])
    slot = 3 * TPE_STARTUP + 1
    again = told(MethodOrder(learning), slot, worst)
    assert again == told(MethodOrder(learning), slot, worst)
    assert again != told(MethodOrder(learning), slot, {key: 1 - value for key, value in worst.items()})


def test_tokens_and_plans_come_back_as_they_were_written():
    run = MethodRun(1, 2, -1, (0, 1000))
    assert MethodRun.of(run.tokens) == run
    made = plan()
    assert read_method_plan({"methods": made.model_dump(mode="json")}) == made
    assert made.tuned_values(run) == (made.lr_range.value(0.0), {"strength": 10.0})
    assert [quantile(draw) for draw in (0.0, 0.5, 1 - 1e-12)] == [0, 500, 1000]


def test_an_order_that_was_told_too_little_does_not_guess():
    with pytest.raises(ValueError, match="slot 9 depends on 9 outcomes, 0 were told"):
        MethodOrder(plan()).ask(9)
