from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mindgap.data.image_store import Store
from mindgap.search.result import pareto_front, rungs_record, search_record, top_summary
from mindgap.search.rungs import RungPlan
from mindgap.search.slot import Attempt, Slot
from mindgap.testing.made_slots import judged, result
from mindgap.testing.tiny_store import write_tiny_store


def trial(slot, accuracy, unfairness, macs, **others):
    return {"slot": slot, "accuracy": accuracy, "unfairness": unfairness, "macs": macs, **others}


def test_the_front_by_hand():
    trials = [trial(0, 0.9, 0.3, 5), trial(1, 0.8, 0.1, 5), trial(2, 0.8, 0.2, 6), trial(3, 0.8, 0.2, 1)]
    assert pareto_front(trials, floor=0.0) == [0, 1, 3]


def test_a_network_under_the_floor_is_not_on_the_front_unless_all_are():
    trials = [trial(0, 0.9, 0.3, 5), trial(1, 0.5, 0.0, 1)]
    assert pareto_front(trials, floor=0.6) == [0]
    assert pareto_front(trials, floor=0.95) == [0, 1]
    assert pareto_front([], floor=0.5) == []


def test_the_top_table_is_mean_and_sample_deviation():
    rows = [
        trial(n, accuracy, 0.1, 1, reward=0.2, groups={"a": accuracy, "b": 0.5})
        for n, accuracy in enumerate((0.7, 0.8, 0.9))
    ]
    summary = top_summary(rows)
    assert summary["n"] == 3
    assert summary["accuracy"] == {"mean": pytest.approx(0.8), "sd": pytest.approx(0.1)}
    assert summary["groups"]["a"]["mean"] == pytest.approx(np.mean([0.7, 0.8, 0.9]))
    assert summary["unfairness"]["sd"] == pytest.approx(0.0)


def test_one_candidate_has_no_spread():
    assert top_summary([trial(0, 0.7, 0.1, 1, reward=0.2, groups={})])["accuracy"] == {"mean": 0.7, "sd": None}


def test_a_group_without_a_validation_image_has_no_figures():
    rows = [trial(slot, 0.7, 0.1, 1, reward=0.2, groups={"a": 0.7, "rare": None}) for slot in range(2)]
    assert top_summary(rows)["groups"]["rare"] == {"mean": None, "sd": None}
    assert top_summary(rows)["groups"]["a"]["mean"] == pytest.approx(0.7)


def finished(slot, **result):
    attempt = Attempt(
        number=slot, slot=slot, attempt=1, tokens=(0, 2, 2, 0), finished=True, lease=None, epoch=2,
        ending=None, detail="", result=result, seconds=1.0,
    )  # fmt: skip
    return Slot((attempt,))


def test_the_record_chooses_the_highest_reward_and_the_first_of_a_tie(store, plan_of, tmp_path):
    figures = {"state": "complete", "accuracy": 0.8, "unfairness": 0.1, "macs": 5, "groups": {"a": 0.8, "b": 0.7}}
    slots = [
        finished(0, reward=0.1, **figures),
        finished(1, state="rejected", reason="MACs 9 > 8", reward=-1.0),
        finished(2, reward=0.3, **figures),
        finished(3, reward=0.3, **figures),
    ]
    plan = plan_of(store)
    record = search_record(slots, plan, space=plan.open_space(store, run=tmp_path / "run"))
    assert (record["chosen"], record["top"]) == (2, [2, 3, 0])
    assert [one["state"] for one in record["trials"]] == ["complete", "rejected", "complete", "complete"]
    assert record["trials"][1]["reason"] == "MACs 9 > 8"
    assert record["excluded_groups"] == []


def test_without_a_trained_candidate_nothing_is_chosen(store, plan_of, tmp_path):
    plan = plan_of(store)
    spent = {"epochs": 2, "image_passes": 400, "seconds": 1.5}
    failed = finished(0, state="failed", reason="loss is nan", reward=-1.0, **spent)
    record = search_record([failed], plan, space=plan.open_space(store, run=tmp_path / "run"))
    assert (record["chosen"], record["top"], record["front"]) == (None, [], [])
    assert record["trials"][0]["architecture"]["input_px"] == 16
    assert record["trials"][0]["macs"] > 0
    assert {name: record["trials"][0][name] for name in spent} == spent, "what it took counts"


def test_what_rungs_spare_is_counted_with_the_candidates_that_failed_on_both_sides():
    """One promoted, one stopped, one that failed in the first rung and one in the second."""

    def found(epochs):
        return result() | {"epochs": epochs, "image_passes": 100 * epochs}

    failed = {"state": "failed", "reason": "loss is nan", "reward": -1.0}
    slots = [
        judged(0, found(2), found(8) | {"image_passes": 600}),
        judged(1, found(2)),
        judged(2, failed | {"epochs": 1, "image_passes": 100}),
        judged(3, found(2), failed | {"epochs": 5, "image_passes": 300}),
    ]
    plan = SimpleNamespace(rungs=RungPlan(epochs=(2, 8), bracket=4))
    record = rungs_record(slots, plan)
    assert record["image_passes"] == (200 + 600) + 200 + 100 + (200 + 300)
    assert record["image_passes_without"] == 3 * 800 + 100


def test_every_trial_names_the_loss_it_is_trained_with(store, plan_of, tmp_path):
    """A space may search the loss; where it does not, the training options say, and else the kind of labels."""
    multi_label = Store.open(write_tiny_store(tmp_path / "multi", multi_label=True))
    smoothed = {"loss": "ce", "label_smoothing": 0.1}
    for data, training, loss in ((store, {}, "ce"), (multi_label, {}, "bce"), (store, smoothed, "ce")):
        plan = plan_of(data, training=training)
        space = plan.open_space(data, run=tmp_path / "run")
        slots = [finished(0, state="failed", reason="loss is nan"), finished(1, state="rejected", loss=None)]
        assert [one["loss"] for one in search_record(slots, plan, space=space)["trials"]] == [loss, loss]
    record = search_record([finished(0, state="rejected", loss="focal")], plan, space=space)
    assert record["trials"][0]["loss"] == "focal"
