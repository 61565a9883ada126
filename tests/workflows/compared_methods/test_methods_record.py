"""Methods trained on a store with equal budgets and compared: what the record says, and what is kept."""

from __future__ import annotations

import json
import shutil
from typing import ClassVar

import pandas as pd
import pytest

from mindgap.api import status
from mindgap.core.errors import RunError, TrainingFailure
from mindgap.core.notes import NOTE
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
        assert min(best["groups"].values()) == best["worst_group_accuracy"]


def test_the_labels_of_test_images_decide_nothing_that_is_chosen(undisturbed, store, call, tmp_path):
    _, record = undisturbed
    shutil.copytree(store, tmp_path / "store")
    table = pd.read_parquet(store / "table.parquet")
    test = table["split"] == "test"
    table.loc[test, "label"] = table.loc[test, "label"].to_numpy()[::-1]
    table.to_parquet(tmp_path / "store" / "table.parquet")
    other = call(tmp_path / "store", tmp_path / "run")
    chosen = [{name: method["chosen_trial"] for name, method in one["methods"].items()} for one in (record, other)]
    assert chosen[0] == chosen[1]
    assert [trial["groups"] for trial in other["trials"]] == [trial["groups"] for trial in record["trials"]]
    seen = [one["methods"]["erm"]["figures"]["overall"]["accuracy"]["mean"] for one in (record, other)]
    assert seen[0] != seen[1]


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
    with pytest.raises(RunError, match="was run with gap="):
        call(store, run, gap="accuracy_difference")


def test_more_permutations_are_asked_of_what_is_trained_and_train_nothing(store, call, tmp_path, caplog):
    caplog.set_level(NOTE)
    asked = {"methods": "maxgroup,biasless", "seeds": 1, "trials": 0, "epochs": 1}
    first = call(store, tmp_path / "run", **asked, permutations=19)
    assert "with permutations=19 no verdict can be shown" in caplog.text
    assert "give 39 or more" in caplog.text
    weights = [path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("weights.safetensors"))]
    caplog.clear()
    second = call(store, tmp_path / "run", **asked, permutations=39)
    assert "no verdict can be shown" not in caplog.text
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("weights.safetensors"))] == weights
    p = [one["comparison"]["attributes"]["sex"]["gaps"]["unfairness"]["maxgroup"]["p_value"] for one in (first, second)]
    assert p[0] * 20 == pytest.approx(round(p[0] * 20))
    assert p[1] * 40 == pytest.approx(round(p[1] * 40))
    assert second["options"]["permutations"] == 39
    assert call(store, tmp_path / "run", **asked, permutations=39) == second


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


def test_seeds_that_only_one_of_two_has_are_not_compared(store, call, tmp_path, monkeypatch):
    class FailingAtSeed(AbstractMitigation):
        failing: ClassVar[set[int]]

        def objective(self, losses, batch, features):
            if self.facts.seed in self.failing:
                raise TrainingFailure("not this seed")
            return losses.mean()

    class Baseline(FailingAtSeed):
        failing: ClassVar[set[int]] = {1}

    class Apart(FailingAtSeed):
        failing: ClassVar[set[int]] = {0}

    class Half(FailingAtSeed):
        failing: ClassVar[set[int]] = {7}

    for name, kind in (("erm", Baseline), ("apart", Apart), ("half", Half)):
        monkeypatch.setitem(MITIGATIONS._entries, name, kind)
    methods = call(store, tmp_path / "run", methods="apart,half", epochs=1, trials=0)["methods"]
    assert methods["apart"]["verdict"] == {}
    told = "apart is not compared: no seed was trained to the end by both it and the baseline."
    assert methods["apart"]["sentences"] == {"": told}
    assert methods["half"]["sentences"]["sex"].endswith("1 of 2 seeds could be compared.")


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
    record = call(several, tmp_path / "run", methods="maxgroup", seeds=1, trials=6, epochs=1, tuner="tpe")
    assert set(record["methods"]["maxgroup"]["verdict"]) == {"red: sex", "even: sex"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Gaps over red: sex" in page
    assert "options drawn at random 3 times, then by TPE 2 times" in page


def test_what_is_kept_of_a_method_with_parts_per_group_can_be_used(store, call, tmp_path):
    record = call(store, tmp_path / "run", methods="domainindep", trials=0, seeds=1)
    folder = tmp_path / "run" / record["methods"]["domainindep"]["runs"][0]["folder"]
    method = record["methods"]["domainindep"]
    assert (method["predicts_by"], record["methods"]["erm"]["predicts_by"]) == ("group", "network")
    assert "It is told the group of every test image." in method["sentences"]["sex"]
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


def test_what_a_method_measured_itself_is_in_its_runs_and_on_the_page(store, call, tmp_path):
    changes = {"methods": "fairprune", "seeds": 1, "trials": 0, "epochs": 1}
    record = call(store, tmp_path / "run", **changes)
    assert record["methods"]["erm"]["runs"][0]["mitigation_figures"] == []
    *groups, share = record["methods"]["fairprune"]["runs"][0]["mitigation_figures"]
    assert (share["name"], share["unit"]) == ("share set to zero", "weights")
    assert len(groups) == (0 if share["reason"] else 2)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "What the methods did" in page
    assert "fairprune, seed 0" in page
