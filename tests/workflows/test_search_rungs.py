"""A search whose candidates climb rungs: what is promised of it, whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import torch
from safetensors.torch import load_file

from mindgap.cli.summary import search_lines
from mindgap.core.errors import ConfigError, RunError
from mindgap.core.seed import derive_seed
from mindgap.data.image_store import Store
from mindgap.search.ledger import Ledger
from mindgap.search.plan import read_plan
from mindgap.search.worker import ledger_url
from mindgap.space.architecture import Architecture
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.train.loop import train_network
from mindgap.workflows.search import search, status

TRIALS = 12
RUNGS = (1, 3, 8)
OPTIONS = {
    "trials": TRIALS,
    "epochs": RUNGS[-1],
    "rungs": ",".join(map(str, RUNGS)),
    "promotion": {"factor": 2, "control_share": 0.25},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_tiny_store(tmp_path_factory.mktemp("data") / "store")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_tiny_config(tmp_path_factory.mktemp("config"), **OPTIONS)


@pytest.fixture(scope="module")
def undisturbed(store, config, tmp_path_factory):
    """One worker, nobody disturbs it."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    return run, search(store, out=run, config=config)


def found(record):
    """What must not depend on workers, kills or resumes."""
    names = ("slot", "tokens", "state", "control", "reward", "accuracy", "unfairness", "macs", "epochs", "image_passes")
    trials = [{name: trial[name] for name in names} for trial in record["trials"]]
    for trial, own in zip(record["trials"], trials, strict=True):
        own["rungs"] = [{key: value for key, value in rung.items() if key != "seconds"} for rung in trial["rungs"]]
    return trials


def test_every_candidate_is_judged_at_the_first_rung_and_some_at_the_last(undisturbed):
    _, record = undisturbed
    rungs = record["rungs"]
    assert rungs["epochs"] == list(RUNGS)
    assert rungs["reached"][0] == TRIALS > rungs["reached"][1] > rungs["reached"][2] >= 1
    for trial in record["trials"]:
        assert trial["state"] == ("complete" if len(trial["rungs"]) == len(RUNGS) else "pruned")
        assert [rung["epochs"] for rung in trial["rungs"]] == [2, 4, 8][: len(trial["rungs"])]
    complete = [trial["slot"] for trial in record["trials"] if trial["state"] == "complete"]
    assert {record["chosen"], *record["front"], *record["top"]} <= set(complete)
    controls = [trial["slot"] for trial in record["trials"] if trial["control"]]
    assert rungs["control"] == controls
    assert set(controls) <= set(complete)
    assert controls, "the share of a quarter took nobody: choose another seed"


def test_image_passes_are_counted_copies_and_control_group_included(undisturbed):
    _, record = undisturbed
    per_epoch = record["trials"][0]["rungs"][0]["image_passes"] // 2
    # a first rung is 1 epoch and a copy's decay of 1; from its plateau the second is 2 more and 1; the last 5 more
    own = {1: 2, 2: 2 + 3, 3: 2 + 3 + 5}
    for trial in record["trials"]:
        assert trial["image_passes"] == per_epoch * own[len(trial["rungs"])]
    assert record["rungs"]["image_passes"] == sum(trial["image_passes"] for trial in record["trials"])
    assert record["rungs"]["image_passes_without"] == per_epoch * TRIALS * RUNGS[-1]


def test_who_climbed_to_the_top_has_the_weights_of_one_trained_at_once(undisturbed, store):
    run, record = undisturbed
    ledger = Ledger(ledger_url(run))
    plan = read_plan(ledger.notes())
    ledger.close()
    opened, trial = Store.open(store), record["trials"][record["chosen"]]
    architecture = Architecture.model_validate(trial["architecture"])
    seed = derive_seed(plan.seed, "slot", trial["slot"])
    network = architecture.build(seed=derive_seed(seed, "weights"))
    own = {"seed": seed, "ratios": trial["ratios"] or "natural", "epochs": RUNGS[-1], "decay_epochs": 2}
    train_network(
        network,
        opened,
        train_rows=opened.rows("train"),
        groups=opened.groups("sex"),
        settings=plan.training.model_copy(update=own),
        architecture=architecture,
        precision_plan=plan.precision_plan,
    )
    saved = load_file(run / "weights.safetensors")
    assert saved.keys() == network.state_dict().keys()
    assert all(torch.equal(saved[name], tensor) for name, tensor in network.state_dict().items())


def test_no_checkpoint_is_left(undisturbed):
    run, _ = undisturbed
    assert not list(run.glob("trials/*/*/*.pt"))


@pytest.mark.slow
def test_two_workers_killed_on_the_way_find_the_same(undisturbed, store, config, tmp_path):
    run = tmp_path / "run"
    call = "import sys; from mindgap.workflows.search import search; store, out, config = sys.argv[1:]; "
    call += "search(store, out=out, config=config, workers=2)"
    driver = subprocess.Popen([sys.executable, "-c", call, str(store), str(run), str(config)])
    killed: set[tuple[int, int]] = set()
    while driver.poll() is None and len(killed) < 4:
        for slot in slots_of(run):
            if slot.state == "running" and (slot.number, slot.rung) not in killed and slot.rung == len(killed) % 3:
                with suppress(ProcessLookupError):
                    os.kill(slot.last.lease.pid, signal.SIGKILL)
                    killed.add((slot.number, slot.rung))
                break
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    record = search(store, out=run, config=config, workers=2)
    assert found(record) == found(undisturbed[1])
    assert len(killed) >= 3
    assert sum(trial["attempts"] for trial in record["trials"]) > sum(t["attempts"] for t in undisturbed[1]["trials"])
    assert (run / "weights.safetensors").read_bytes() == (undisturbed[0] / "weights.safetensors").read_bytes()
    assert not list(run.glob("trials/*/*/*.pt"))


def slots_of(run):
    with suppress(RunError):  # before the driver has made the ledger
        ledger = Ledger(ledger_url(run), read_only=True)
        try:
            return ledger.slots()
        finally:
            ledger.close()
    return []


@pytest.mark.slow
def test_a_search_that_is_given_more_whole_brackets_is_the_longer_search(undisturbed, store, config, tmp_path):
    search(store, out=tmp_path / "run", config=config, trials=8)
    longer = search(store, out=tmp_path / "run", config=config, trials=TRIALS)
    assert found(longer) == found(undisturbed[1])


def test_a_search_that_ends_within_a_bracket_still_climbs(store, config, tmp_path):
    record = search(store, out=tmp_path / "run", config=config, trials=3)
    assert [trial["state"] for trial in record["trials"]].count("complete") >= 1
    assert all(trial["state"] in {"complete", "pruned"} for trial in record["trials"])


def test_without_rungs_all_are_trained_to_the_end(store, config, tmp_path):
    record = search(store, out=tmp_path / "run", config=config, trials=2, epochs=2, rungs="none")
    assert record["rungs"] is None
    assert [trial["state"] for trial in record["trials"]] == ["complete"] * 2


def test_on_arrival_all_is_settled_too(store, config, tmp_path):
    record = search(store, out=tmp_path / "run", config=config, asynchronous=True, trials=8, workers=2)
    assert {trial["state"] for trial in record["trials"]} == {"complete", "pruned"}
    assert record["rungs"]["control"] == []


def test_the_summary_says_how_far_and_how_well(undisturbed):
    run, record = undisturbed
    lines = "\n".join(search_lines(record))
    assert f"trained by epochs: {TRIALS} to 1, " in lines
    assert "times fewer image passes than all to the end" in lines
    assert "rank at epoch 1 against the end" in lines
    assert status(run)["pruned"] == sum(trial["state"] == "pruned" for trial in record["trials"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rungs": "1,x"}, "rungs is '1,x'"),
        ({"rungs": ""}, "rungs is ''"),
        ({"rungs": "4,2,8"}, "must rise"),
        ({"rungs": "1,4"}, "to the 8 epochs"),
        ({"rungs": "1,7,8"}, "decays from 6"),
    ],
)
def test_rungs_that_do_not_fit_are_refused_before_there_is_a_run(store, config, tmp_path, options, said):
    with pytest.raises(ConfigError, match=said):
        search(store, out=tmp_path / "run", config=config, **options)
    assert not (tmp_path / "run").exists()


def test_a_schedule_that_no_longer_training_goes_on_from_is_refused(store, tmp_path):
    config = write_tiny_config(tmp_path, **OPTIONS | {"training": {"schedule": "onecycle"}})
    with pytest.raises(ConfigError, match="the schedule is 'onecycle'"):
        search(store, out=tmp_path / "run", config=config)


def test_the_papers_own_schedule_is_not_silently_replaced(store, config, tmp_path):
    with pytest.raises(ConfigError, match="the schedule is 'paper', which no longer training can go on from"):
        search(store, out=tmp_path / "run", config=config, preset="paper")


def test_the_files_say_what_the_record_says(undisturbed):
    run, record = undisturbed
    assert json.loads((run / "search.json").read_text()) == record
    metrics = json.loads((run / "metrics.json").read_text())
    chosen = record["trials"][record["chosen"]]
    assert metrics["training"]["image_passes"] == chosen["image_passes"]
    assert metrics["training"]["epochs"] == RUNGS[-1]
