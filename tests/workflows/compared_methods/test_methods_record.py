"""Methods trained on a store with equal budgets and compared: what the record says, and what is kept."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from mindgap.api import status
from mindgap.core.errors import RunError, TrainingFailure
from mindgap.data.image_store import Store
from mindgap.space.architecture import load_network, read_architecture
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.train.evaluate import predict_probabilities
from mindgap.train.kept_mitigation import read_mitigation
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation

METHODS = "maxgroup,biasless"


def test_the_record_and_the_files_are_those_of_the_contract(undisturbed):
    run, record = undisturbed
    assert json.loads((run / "compare.json").read_text()) == record
    assert list(record["methods"]) == ["erm", "maxgroup", "biasless"]
    for name, method in record["methods"].items():
        assert [audit["n"] for audit in method["seeds"]] == [60, 60]
        assert method["verdict"] == ({} if name == "erm" else {"sex": method["verdict"]["sex"]})
        assert method["image_passes"] == sum(one["image_passes"] for one in method["spent"].values())
        assert [one["runs"] for one in method["spent"].values()] == [2, 2]
        assert method["seconds"] > 0
        if name != "erm":
            assert method["over_seeds"]["sex"]["n_seeds"] == 2
            assert "Over 2 seeds the gap differs by " in method["sentences"]["sex"]
        assert method["failed"] == []
    assert record["comparison"]["baseline"] == "erm"
    assert set(record["cost"]) == {"params", "macs"}
    assert {"config.toml", "provenance.json", "ledger.db", "report.html"} <= {path.name for path in run.iterdir()}
    assert not [*run.rglob("checkpoint.pt"), *run.rglob("teacher")]


def test_every_method_has_the_same_budget(undisturbed):
    """Plain, maximum and weighted losses pass every image once: the passes are equal, as are the learning rates."""
    _, record = undisturbed
    assert len({method["image_passes"] for method in record["methods"].values()}) == 1
    for trial in (0, 1):
        rates = [one["options"]["lr"] for one in record["trials"] if one["trial"] == trial]
        assert len(rates) == 3
        assert len(set(rates)) == 1


def test_tuning_runs_keep_no_predictions_and_judged_ones_keep_both_splits(undisturbed):
    run, record = undisturbed
    for trial in record["trials"]:
        assert {path.name for path in (run / trial["folder"]).iterdir()} == {"log.jsonl"}
    for method in record["methods"].values():
        for one in method["runs"]:
            kept = {path.name for path in (run / one["folder"]).iterdir()}
            assert {"weights.safetensors", "architecture.json", "predictions.parquet", "metrics.json"} <= kept
            table = pd.read_parquet(run / one["folder"] / "predictions.parquet")
            assert table["split"].value_counts().to_dict() == {"validation": 60, "test": 60}


def test_the_chosen_options_are_those_of_the_best_worst_group_on_validation(undisturbed):
    _, record = undisturbed
    for name, method in record["methods"].items():
        own = [trial for trial in record["trials"] if trial["method"] == name]
        best = max(own, key=lambda one: (one["worst_group_accuracy"], one["accuracy"], -one["trial"]))
        assert method["chosen_trial"] == best["trial"]
        assert method["options"] == best["options"]
        assert [run["options"] for run in method["runs"]] == [best["options"]] * 2
        assert all(best["groups"][group] >= best["worst_group_accuracy"] for group in ("a", "b"))


def test_the_same_options_as_plain_training_give_the_same_network(undisturbed, store):
    """A judged run of the baseline is what ``train`` makes of its options and seed."""
    from mindgap.api import train

    run, record = undisturbed
    one = record["methods"]["erm"]["runs"][1]
    alone = run.parent / "alone"
    train(
        store, network=run / one["folder"] / "architecture.json", out=alone, epochs=2, batch_size=32, seed=one["seed"],
        lr=one["options"]["lr"], precision="fp32", device="cpu", bootstrap=0, permutations=0,
    )  # fmt: skip
    ours, theirs = (pd.read_parquet(place / "predictions.parquet") for place in (run / one["folder"], alone))
    pd.testing.assert_frame_equal(ours, theirs)


def test_a_finished_comparison_is_read_and_other_options_are_refused(undisturbed, store, call):
    run, record = undisturbed
    progress = status(run)
    assert (progress["state"], progress["trained"], progress["asked_for"]) == ("finished", 12, 12)
    before = (run / "compare.json").stat().st_mtime_ns
    assert call(store, run, workers=3) == record
    assert (run / "compare.json").stat().st_mtime_ns == before
    with pytest.raises(RunError, match="was run with seeds=2, now 3"):
        call(store, run, seeds=3)
    with pytest.raises(RunError, match="was run with methods="):
        call(store, run, methods="maxgroup")


def test_a_method_that_fails_is_said_and_stops_no_other(store, call, tmp_path, monkeypatch):
    class Failing(AbstractMitigation):
        def objective(self, losses, batch, features):
            raise TrainingFailure("<script>it cannot learn</script>")

    class FailingOnce(AbstractMitigation):
        def objective(self, losses, batch, features):
            if self.facts.seed == 1:
                raise TrainingFailure("not this seed")
            return losses.mean()

    monkeypatch.setitem(MITIGATIONS._entries, "failing", Failing)
    monkeypatch.setitem(MITIGATIONS._entries, "once", FailingOnce)
    record = call(store, tmp_path / "run", methods="failing,once", epochs=1, trials=1)
    failing, once = record["methods"]["failing"], record["methods"]["once"]
    assert failing["seeds"] == [None, None]
    assert failing["figures"] is None
    assert failing["verdict"] == {}
    assert failing["reason"].startswith("no seed was trained to the end (none of its tuning runs")
    assert failing["failed"][0]["reason"] == "<script>it cannot learn</script>"
    assert [audit is None for audit in once["seeds"]] == [False, True]
    assert [run["reason"] for run in once["failed"]] == ["not this seed"]
    assert list(once["verdict"]) == ["sex"]
    assert [model["seeds"] for model in record["comparison"]["models"]] == [[0, 1], [0]]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "failing, tuning run 0: &lt;script&gt;it cannot learn" in page
    assert "<script>" not in page


def test_one_seed_without_tuning_works_and_says_what_it_cannot(store, call, tmp_path):
    record = call(store, tmp_path / "run", methods="maxgroup", seeds=1, trials=0, epochs=1)
    assert record["trials"] == []
    method = record["methods"]["maxgroup"]
    assert method["why"] == "the defaults: nothing was tuned"
    assert method["figures"]["overall"]["accuracy"]["seeds_reason"] == "one seed: no interval over seeds can be given"
    page = (tmp_path / "run" / "report.html").read_text()
    assert "no interval over seeds can be given" in page
    assert "Nothing was tuned: every method has its defaults." in page


def test_several_labels_have_a_verdict_each(call, tmp_path):
    several = write_tiny_store(tmp_path / "store", multi_label=True)
    record = call(several, tmp_path / "run", methods="maxgroup", seeds=1, trials=1, epochs=1, tuner="tpe")
    assert set(record["methods"]["maxgroup"]["verdict"]) == {"red: sex", "even: sex"}
    assert "Gaps over red: sex" in (tmp_path / "run" / "report.html").read_text()


def test_what_is_kept_of_a_method_with_parts_per_group_can_be_used(store, call, tmp_path):
    record = call(store, tmp_path / "run", methods="domainindep", trials=0, seeds=1)
    folder = tmp_path / "run" / record["methods"]["domainindep"]["runs"][0]["folder"]
    kept = read_mitigation(folder, task="single-label", num_classes=2)
    assert kept is not None
    _, network = load_network(folder, adapt=kept.mitigation.adapt)
    opened = Store.open(store)
    rows = opened.rows("test")
    chances = predict_probabilities(
        network, opened.image_tensor(), rows, architecture=read_architecture(folder / "architecture.json"),
        mitigation=kept.mitigation, groups=kept.groups_in(opened),
    )  # fmt: skip
    table = pd.read_parquet(folder / "predictions.parquet")
    told = table[table["split"] == "test"][[f"prob_{name}" for name in opened.classes]].to_numpy()
    assert abs(chances - told).max() < 0.05, "but for the type it is computed in"
