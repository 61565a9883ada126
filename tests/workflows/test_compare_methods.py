"""Methods trained on a store with equal budgets and compared: record, refusals, resuming, kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mindgap.api import compare, status
from mindgap.core.errors import MindgapError, RunError, TrainingFailure
from mindgap.data.image_store import Store
from mindgap.search.ledger import Ledger
from mindgap.search.ledger_place import ledger_url
from mindgap.search.placement import PLACEMENTS, AbstractPlacement, PlacementOptions
from mindgap.search.worker import work
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem, load_network, read_architecture
from mindgap.testing.tiny_store import SIZE_PX, write_tiny_store
from mindgap.train.evaluate import predict_probabilities
from mindgap.train.kept_mitigation import read_mitigation
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation

METHODS = "maxgroup,biasless"
SAME = ("accuracy", "unfairness", "worst_group_accuracy", "groups", "options", "state", "image_passes")


class Inline(AbstractPlacement[PlacementOptions]):
    """Works in this process, so that tests pay for no start."""

    running = frozenset()

    def start(self, assignment, numbers):
        work(assignment.run)

    def ended(self):
        return []

    def wait(self, seconds):
        """Nothing runs."""

    def drain(self):
        """Nothing runs."""

    def stop(self):
        return []


@pytest.fixture(scope="module", autouse=True)
def _inline():
    with pytest.MonkeyPatch.context() as patch:
        PLACEMENTS.discover()
        patch.setitem(PLACEMENTS._entries, "inline", Inline)
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_tiny_store(tmp_path_factory.mktemp("data") / "store")


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    """Compares methods on a network so small that a run takes a moment."""
    network = tmp_path_factory.mktemp("network") / "architecture.json"
    block = BlockSpec(type="cb", out_channels=4, choices={"kernel": 3, "hidden_channels": 4})
    tiny = Architecture(
        name="tiny", input_px=SIZE_PX, num_classes=2, stem=Stem(channels=4), blocks=(block,), head=Head(width=8)
    )
    network.write_text(tiny.to_json())

    def call(store: Path, out: Path, **changes: Any) -> dict[str, Any]:
        options: dict[str, Any] = {
            "methods": METHODS, "network": network, "out": out, "seeds": 2, "trials": 2, "epochs": 2, "batch_size": 32,
            "precision": "fp32", "device": "cpu", "bootstrap": 40, "permutations": 19, "min_group": 5,
            "placement": "inline",
        }  # fmt: skip
        return compare(store, **options | changes)

    return call


@pytest.fixture(scope="module")
def undisturbed(store, call, tmp_path_factory):
    """One worker, nobody disturbs it."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    return run, call(store, run)


def found(record):
    """What must not depend on workers, kills or resumes."""
    runs = [*record["trials"], *(run for method in record["methods"].values() for run in method["runs"])]
    figures = {name: (method["figures"], method["verdict"]) for name, method in record["methods"].items()}
    return [{name: run[name] for name in SAME} for run in runs], figures


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


def test_a_killed_worker_and_driver_lose_nothing_and_two_workers_find_the_same(undisturbed, store, call, tmp_path):
    run = tmp_path / "run"
    _, record = undisturbed
    code = "import sys, json; from mindgap.api import compare; compare(sys.argv[1], **json.loads(sys.argv[2]))"
    options = {
        **record["options"], "methods": METHODS, "network": str(record["options"]["network"]), "out": str(run),
        "placement": "local", "workers": 2,
    }  # fmt: skip
    driver = subprocess.Popen([sys.executable, "-c", code, str(store), json.dumps(options)], stderr=subprocess.DEVNULL)
    try:
        os.kill(_pid_at_work(run, settled=1), signal.SIGKILL)
        _pid_at_work(run, settled=3)
    finally:
        driver.kill()
        driver.wait()
    assert found(call(store, run)) == found(record)
    assert not [*run.rglob("checkpoint.pt"), *run.rglob("*.tmp")]


def _pid_at_work(run: Path, *, settled: int) -> int:
    """A worker's process, once so many runs are settled."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(MindgapError):
            ledger = Ledger(ledger_url(run))
            slots = ledger.slots()
            ledger.close()
            at_work = [slot.last.lease.pid for slot in slots if slot.state == "running"]
            if at_work and sum(slot.settled for slot in slots) >= settled:
                return at_work[0]
        time.sleep(0.02)
    raise AssertionError("the comparison does not get on")


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


def test_a_teachers_checkpoint_is_inherited_and_removed_at_the_end(store, call, tmp_path, monkeypatch):
    """The first attempt dies right after the teacher's only epoch; the second does not train the teacher again."""
    teachers: list[int] = []

    class Pupil(AbstractMitigation):
        needs_teacher = True
        died = False

        def take_teacher(self, teacher):
            teachers.append(len(list((tmp_path / "run" / "trials").rglob("teacher/checkpoint.pt"))))
            if not Pupil.died:
                Pupil.died = True
                raise ValueError("the worker's bad day")

    monkeypatch.setitem(MITIGATIONS._entries, "pupil", Pupil)
    record = call(store, tmp_path / "run", methods="pupil", seeds=1, trials=0, epochs=1)
    one = record["methods"]["pupil"]["runs"][0]
    assert (one["state"], one["attempts"]) == ("complete", 2)
    assert teachers == [1, 2]
    log = [json.loads(line) for line in (tmp_path / "run" / one["folder"] / "log.jsonl").read_text().splitlines()]
    assert len(log) == 1
    assert one["image_passes"] == 2 * record["methods"]["erm"]["image_passes"]
    assert not list((tmp_path / "run").rglob("teacher"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": "maxgroup,nothing"}, "mitigations: no 'nothing'"),
        ({"methods": "maxgroup,maxgroup"}, "methods names 'maxgroup' twice"),
        ({"methods": "erm"}, "give one or more besides 'erm'"),
        ({"methods": ""}, "methods is empty: give one or more"),
        ({"seeds": 0}, "seeds is 0: give 1 or more"),
        ({"select": "worst"}, "select is 'worst'"),
        ({"tuner": "grid"}, "tuner is 'grid'"),
        ({"gap": "unfair"}, "gap 'unfair' is unknown for this task; did you mean 'unfairness'"),
        ({"attribute": "sex,age"}, "methods are compared on one attribute"),
        ({"attribute": "tone"}, "tone"),
        ({"min_group": 500}, "fewer than two groups have 500 validation images"),
        ({"network": "resnet81"}, "did you mean 'resnet18'"),
        ({"batch_size": 1}, "batch_size is 1: give 2 or more"),
        ({"schedule": "never"}, "schedule is 'never'"),
        ({"placement": "moon"}, "placements: no 'moon'"),
        ({"network": None}, "--network is missing"),
        ({"split": "test"}, "--split is for runs"),
        ({"attributes": "sex"}, "--attributes is for runs"),
        ({"bootstrap": -1}, "bootstrap=-1: need 0 or more"),
    ],
)
def test_what_is_wrong_is_one_line_before_anything_is_written(store, call, tmp_path, changes, said):
    with pytest.raises(MindgapError) as error:
        call(store, tmp_path / "run", **changes)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_options_of_methods_are_refused_where_runs_are_named_and_stores_among_runs(undisturbed, store, call, tmp_path):
    run, _ = undisturbed
    with pytest.raises(MindgapError, match="--methods is for methods trained on a store"):
        compare(run, run, methods="maxgroup")
    with pytest.raises(MindgapError, match="is a store, among 2 arguments"):
        compare(store, run)
    with pytest.raises(MindgapError, match="is a store, among runs"):
        compare(run, store)
    shutil.copytree(store, tmp_path / "store")
    table = pd.read_parquet(store / "table.parquet")
    table["split"] = table["split"].replace("test", "train")
    table.to_parquet(tmp_path / "store" / "table.parquet")
    assert not len(Store.open(tmp_path / "store").rows("test"))
    with pytest.raises(MindgapError, match="has no test images, on which methods are compared"):
        call(tmp_path / "store", tmp_path / "none")


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
