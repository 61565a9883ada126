from __future__ import annotations

import pandas as pd
import pytest

from mindgap.core.errors import RunError, TrainingFailure
from mindgap.data.image_store import Store
from mindgap.search.artifacts import open_artifacts
from mindgap.search.ledger import Claim
from mindgap.search.training_options import candidate_settings
from mindgap.search.trial import StoreCandidates
from mindgap.search.worker_loop import ParkedError
from mindgap.space.architecture import load_network
from mindgap.testing.tiny_store import write_tiny_store

TOKENS = {"plain": (0, 2, 2, 0), "conv": (4, 0, 0, 0, 0, 2, 0)}


def nothing(*_):
    pass


@pytest.fixture
def candidates(store, plan_of, tmp_path):
    return StoreCandidates(tmp_path / "run", plan_of(store))


def claim(tokens=TOKENS["conv"], *, slot=3, attempt=1):
    return Claim(row=0, slot=slot, attempt=attempt, tokens=tokens)


def test_a_candidate_is_trained_judged_and_kept(candidates, store):
    trained = candidates.train(claim(), epoch_done=nothing, between=nothing)
    record, folder = trained.record, candidates.folder(claim())
    kept = ["architecture.json", "log.jsonl", "predictions.parquet", "weights.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*kept, "checkpoint.pt"]), "until it is recorded"
    candidates.settle(claim())
    assert sorted(path.name for path in folder.iterdir()) == kept
    table = pd.read_parquet(folder / "predictions.parquet")
    guess = table[["prob_dark", "prob_red"]].idxmax(axis=1).str.removeprefix("prob_")
    right = guess == table["label"]
    known = table["sex"].notna()
    by_group = {name: right[table["sex"] == name].mean() for name in ("a", "b")}
    gap = sum(abs(value - right[known].mean()) for value in by_group.values())
    assert record["accuracy"] == pytest.approx(right.mean())
    assert record["unfairness"] == pytest.approx(gap)
    assert record["groups"] == pytest.approx(by_group)
    assert record["reward"] == pytest.approx(0.2 * right.mean() - 0.8 * gap)
    assert record["ratios"] == {"a": 0.5, "b": 0.5}
    assert record["epochs"] == 2
    architecture, _ = load_network(folder)
    assert architecture.model_dump(mode="json") == record["architecture"]


def test_a_result_depends_on_the_slot_and_not_on_the_attempt(candidates):
    first = candidates.train(claim(), epoch_done=nothing, between=nothing)
    again = candidates.train(claim(attempt=2), epoch_done=nothing, between=nothing)
    other = candidates.train(claim(slot=4), epoch_done=nothing, between=nothing)
    weights = [(candidates.folder(c) / "weights.safetensors").read_bytes() for c in (claim(), claim(attempt=2))]
    assert weights[0] == weights[1]
    assert first.values == again.values
    assert weights[0] != (candidates.folder(claim(slot=4)) / "weights.safetensors").read_bytes()
    assert other.record["architecture"] == first.record["architecture"]


def test_a_parked_candidate_goes_on_with_the_next_epoch_and_ends_the_same(candidates):
    whole = candidates.train(claim(slot=5), epoch_done=nothing, between=nothing)
    weights = (candidates.folder(claim(slot=5)) / "weights.safetensors").read_bytes()
    for path in candidates.folder(claim(slot=5)).iterdir():
        path.unlink()
    epochs, calls = [], []

    def park_before_the_second():
        calls.append(1)
        if len(calls) == 2:
            raise ParkedError

    with pytest.raises(ParkedError):
        candidates.train(claim(slot=5), epoch_done=epochs.append, between=park_before_the_second)
    assert epochs == [1]
    resumed = candidates.train(claim(slot=5, attempt=2), epoch_done=epochs.append, between=nothing)
    assert epochs == [1, 2]
    assert resumed.values == whole.values
    assert (candidates.folder(claim(slot=5, attempt=2)) / "weights.safetensors").read_bytes() == weights
    assert len((candidates.folder(claim(slot=5, attempt=2)) / "log.jsonl").read_text().splitlines()) == 2
    candidates.settle(claim(slot=5, attempt=2))
    assert not list(candidates.folder(claim(slot=5)).parent.glob("*/checkpoint.pt")), "of no attempt"


def test_a_damaged_checkpoint_costs_its_epochs_and_not_the_candidate(candidates):
    whole = candidates.train(claim(slot=5), epoch_done=nothing, between=nothing)
    checkpoint = candidates.folder(claim(slot=5)) / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    epochs = []
    again = candidates.train(claim(slot=5, attempt=2), epoch_done=epochs.append, between=nothing)
    assert epochs == [1, 2]
    assert again.values == whole.values


def test_a_candidate_whose_last_epoch_was_saved_is_judged_without_training(candidates):
    whole = candidates.train(claim(slot=5), epoch_done=nothing, between=nothing)
    epochs = []
    again = candidates.train(claim(slot=5, attempt=2), epoch_done=epochs.append, between=nothing)
    assert epochs == []
    assert (again.values, again.record["epochs"]) == (whole.values, 2)


def test_a_candidate_that_cannot_be_trained_tells_what_it_took(store, plan_of, tmp_path):
    candidates = StoreCandidates(tmp_path / "run", plan_of(store, epochs=3, training={"lr": 1e6, "schedule": "paper"}))
    with pytest.raises(TrainingFailure) as failure:
        candidates.train(claim(), epoch_done=nothing, between=nothing)
    spent = failure.value.spent
    assert spent["epochs"] in {1, 2, 3}
    usual = StoreCandidates(tmp_path / "run", plan_of(store, epochs=3))
    whole = usual.train(claim(slot=4), epoch_done=nothing, between=nothing)
    assert spent["image_passes"] == spent["epochs"] / 3 * whole.record["image_passes"]
    assert spent["seconds"] > 0


def test_the_traceback_of_a_crash_is_kept_where_other_machines_find_it(store, plan_of, tmp_path):
    url = f"file://{tmp_path}/shared"
    mine = StoreCandidates(tmp_path / "run", plan_of(store), artifacts=open_artifacts(url, run=tmp_path / "run"))
    mine.keep_error(claim(), "ValueError: odd shape")
    other = tmp_path / "elsewhere" / "trials" / "3" / "1"
    open_artifacts(url, run=tmp_path / "elsewhere").fetch(other)
    assert (other / "error.txt").read_text() == "ValueError: odd shape"


def test_a_candidate_over_a_limit_is_rejected_with_its_record(store, plan_of, tmp_path):
    candidates = StoreCandidates(tmp_path / "run", plan_of(store, preset="paper"))
    fits, over = TOKENS["plain"], (0, 0, 1, 1, 1, 0, 1, 1, 1, 1)
    assert candidates.rejection(fits) is None
    record = candidates.rejection(over)
    assert record["reason"].startswith("parameters ")
    assert record["reward"] == -1.0
    assert record["params"] > 1_500
    assert record["architecture"]["blocks"]


def test_fixed_natural_ratios_are_left_to_the_data(store, plan_of, tmp_path):
    candidates = StoreCandidates(tmp_path / "run", plan_of(store, ratios="natural"))
    candidate = candidates.space.decode((2, 2, 0))
    settings = candidate_settings(candidates.plan, training={}, ratios=candidate.ratios, seed=0, rung=0)
    assert settings.ratios == "natural"
    groups = store.groups("sex").take(store.rows("train"))
    assert candidate.ratios == pytest.approx(dict(zip(groups.names, groups.shares(), strict=True)))


def test_another_store_under_the_same_name_is_refused(store, plan_of, tmp_path):
    plan = plan_of(store).model_copy(update={"fingerprint": "other"})
    with pytest.raises(RunError, match="the search began with other"):
        StoreCandidates(tmp_path / "run", plan)


def test_a_multi_label_candidate_is_judged_by_means_over_labels(tmp_path, plan_of):
    store = Store.open(write_tiny_store(tmp_path / "many", multi_label=True))
    candidates = StoreCandidates(tmp_path / "run", plan_of(store))
    record = candidates.train(claim(), epoch_done=nothing, between=nothing).record
    table = pd.read_parquet(candidates.folder(claim()) / "predictions.parquet")
    right = [(table[f"prob_{name}"] > 0.5) == (table[f"label_{name}"].astype(int) == 1) for name in store.classes]
    known = table["sex"].notna()
    gaps = [sum(abs(r[table["sex"] == g].mean() - r[known].mean()) for g in ("a", "b")) for r in right]
    assert record["accuracy"] == pytest.approx(sum(r.mean() for r in right) / 2)
    assert record["unfairness"] == pytest.approx(sum(gaps) / 2)
