from __future__ import annotations

import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pandas as pd
import psutil
import pytest

from mindgap.cli.verbs.search import finished_lines
from mindgap.cli.verbs.search import search as search_command
from mindgap.core.errors import DataError, MindgapError, RunError
from mindgap.core.folder_lock import folder_lock
from mindgap.core.notes import NOTE
from mindgap.search.ledger import Ledger
from mindgap.search.options import SearchOptions
from mindgap.search.placement import Assignment
from mindgap.search.worker import ledger_url
from mindgap.search.worker_process import start_worker
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.workflows.search import search, status

TRIALS = 12


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_tiny_store(tmp_path_factory.mktemp("data") / "store")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_tiny_config(tmp_path_factory.mktemp("config"), trials=TRIALS)


@pytest.fixture(scope="module")
def undisturbed(store, config, tmp_path_factory):
    """One worker, nobody disturbs it."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    return run, search(store, out=run, config=config)


def found(record):
    """What must not depend on workers, kills or resumes."""
    names = ("slot", "tokens", "state", "architecture", "ratios", "reward", "accuracy", "unfairness", "macs", "epochs")
    return [{name: trial[name] for name in names} for trial in record["trials"]]


def start(store, run, config, *, workers):
    """Starts a search in a process of its own."""
    # tests that run in the background of a shell are deaf to Ctrl-C, and so would be what they start
    call = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    call += "import sys; from mindgap.workflows.search import search; store, out, config, workers = sys.argv[1:]; "
    call += "search(store, out=out, config=config, workers=int(workers))"
    arguments = [sys.executable, "-c", call, *map(str, (store, run, config, workers))]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(run, condition, *, seconds=300):
    """Slots of the run as soon as the condition holds for them."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(RunError):  # before the driver has made the ledger
            ledger = Ledger(ledger_url(run))
            slots = ledger.slots()
            ledger.close()
            if condition(slots):
                return slots
        time.sleep(0.05)
    raise AssertionError("the search does not get on")


def running(slots):
    return [slot.last.lease.pid for slot in slots if slot.state == "running"]


def settled(slots):
    return sum(slot.settled for slot in slots)


def gone(pid, *, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_the_record_and_the_files_are_those_of_the_contract(undisturbed):
    run, record = undisturbed
    assert json.loads((run / "search.json").read_text()) == record
    assert {"seed", "excluded_groups", "trials", "front", "top", "chosen"} <= set(record)
    keys = {"slot", "state", "reason", "architecture", "ratios", "loss", "reward", "accuracy", "unfairness", "macs"}
    assert all(keys | {"params", "epochs", "attempts"} <= set(trial) for trial in record["trials"])
    assert {trial["loss"] for trial in record["trials"]} == {"ce"}
    assert [trial["slot"] for trial in record["trials"]] == list(range(len(record["trials"])))
    assert sum(trial["state"] == "complete" for trial in record["trials"]) == TRIALS
    assert record["chosen"] == record["top"][0]
    assert len(record["top"]) == record["top_summary"]["n"] == 5
    names = {path.name for path in run.iterdir()}
    assert {"config.toml", "provenance.json", "metrics.json", "predictions.parquet", "log.jsonl"} <= names
    assert {"architecture.json", "weights.safetensors", "report.html", "ledger.db", "trials"} <= names
    assert not list(run.glob("trials/*/*/checkpoint.pt"))


def test_the_chosen_network_is_audited_on_validation_and_test(undisturbed):
    run, record = undisturbed
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics) == {"validation", "test", "cost", "training", "test_reads"}
    assert metrics["test_reads"] == 1
    assert not any("read the test split" in line for line in finished_lines(run, record))
    assert set(metrics["cost"]) == {"params", "macs", "latency_ms"}
    chosen = record["trials"][record["chosen"]]
    assert metrics["validation"]["overall"]["accuracy"]["value"] == pytest.approx(chosen["accuracy"])
    gap = metrics["validation"]["attributes"]["sex"]["gaps"]["unfairness"]["value"]
    assert gap == pytest.approx(chosen["unfairness"])
    assert metrics["test"]["n"] == 60
    folder = run / "trials" / str(chosen["slot"]) / "1"
    assert (run / "weights.safetensors").read_bytes() == (folder / "weights.safetensors").read_bytes()


def test_every_network_of_the_front_has_intervals(undisturbed):
    run, record = undisturbed
    for slot in record["front"]:
        audit = json.loads((run / "trials" / str(slot) / "1" / "metrics.json").read_text())["validation"]
        accuracy = audit["overall"]["accuracy"]
        assert accuracy["value"] == pytest.approx(record["trials"][slot]["accuracy"])
        assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]


def test_a_finished_search_is_read_and_not_run_again(undisturbed, store, config):
    run, record = undisturbed
    before = (run / "metrics.json").stat().st_mtime_ns
    assert search(store, out=run, config=config, workers=2) == record
    assert (run / "metrics.json").stat().st_mtime_ns == before
    progress = status(run)
    assert (progress["state"], progress["trained"], progress["asked_for"]) == ("finished", TRIALS, TRIALS)


def test_other_options_are_refused(undisturbed, store, config):
    run, _ = undisturbed
    with pytest.raises(RunError, match="was run with seed=0, now 1"):
        search(store, out=run, config=config, seed=1)


def test_two_workers_one_killed_then_the_driver_killed_find_the_same(undisturbed, store, config, tmp_path):
    """kill -9 of a worker, then of the driver, then the same command again with another number of workers."""
    _, record = undisturbed
    run = tmp_path / "run"
    driver = start(store, run, config, workers=2)
    try:
        slots = wait_for(run, lambda slots: settled(slots) >= 2 and running(slots))
        os.kill(running(slots)[0], signal.SIGKILL)
        slots = wait_for(run, lambda slots: settled(slots) >= 5 and running(slots))
        workers = running(slots)
    finally:
        driver.kill()
        driver.communicate()
    assert all(gone(pid) for pid in workers)
    assert settled(wait_for(run, bool)) < TRIALS
    again = search(store, out=run, config=config, workers=1)
    assert found(again) == found(record)
    assert len(list(run.glob("trials/*"))) == len({trial["slot"] for trial in again["trials"] if trial["epochs"]})


@pytest.mark.slow
def test_ctrl_c_parks_what_is_in_work_and_raised_trials_go_on(undisturbed, store, config, tmp_path):
    _, record = undisturbed
    run = tmp_path / "run"
    driver = start(store, run, config, workers=1)
    slots = wait_for(run, lambda slots: settled(slots) >= 2 and running(slots))
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode != 0
    assert "KeyboardInterrupt" in errors.decode()
    left = wait_for(run, bool)
    assert not running(left)
    assert all(attempt.ending in {None, "parked"} for slot in left for attempt in slot.attempts)
    assert "stopped" in status(run)["state"] or settled(slots) == TRIALS
    fewer = search(store, out=run, config=config, trials=6)
    assert found(fewer) == found(record)[: len(fewer["trials"])]
    more = search(store, out=run, config=config, trials=TRIALS, workers=2)
    assert found(more) == found(record)
    for name in ("metrics.json", "provenance.json"):
        assert json.loads((run / name).read_text())["test_reads"] == 2
    assert any("has read the test split 2 times" in line for line in finished_lines(run, more))


@pytest.mark.parametrize("force", [False, True])
def test_a_second_driver_is_refused(undisturbed, store, config, force):
    run, record = undisturbed
    with folder_lock(run), pytest.raises(RunError, match="another mindgap process"):
        search(store, out=run, config=config, force=force)
    assert json.loads((run / "search.json").read_text()) == record


def test_a_worker_process_that_finds_nothing_to_do_ends_with_0(undisturbed):
    run, _ = undisturbed
    worker = start_worker(Assignment(run), 7)
    assert worker.process.wait(timeout=300) == 0
    assert "Fatal" not in worker.log.read_text()
    assert worker.end().number in {0, 7}


def test_the_store_is_never_the_run(store, config):
    before = sorted(path.name for path in store.rglob("*"))
    for force in (False, True):
        with pytest.raises(RunError, match="choose an --out apart from it"):
            search(store, out=store, config=config, force=force)
    assert sorted(path.name for path in store.rglob("*")) == before


def test_no_option_has_a_default_that_would_hide_the_files(store):
    for function in (search, search_command):
        defaults = {name: each.default for name, each in inspect.signature(function).parameters.items()}
        assert {name: defaults[name] for name in SearchOptions.model_fields if defaults.get(name) is not None} == {}


def test_shares_that_favour_a_smaller_group_are_warned_of_at_the_start(store, config, tmp_path, caplog):
    with pytest.raises(MindgapError, match="reinforce"):
        search(store, out=tmp_path / "run", config=config, ratios="a=.2,b=.8", searcher="reinforcee")
    assert "smaller group 'b' a share of 0.8" in caplog.messages[0]


def test_a_fixed_network_and_fixed_ratios_leave_the_seeds(store, config, tmp_path):
    record = search(
        store, out=tmp_path / "run", config=config, trials=2, ratios="natural", mitigation="erm", network="mobilenet_v2"
    )
    assert [trial["tokens"] for trial in record["trials"]] == [[], []]
    assert record["trials"][0]["architecture"] == record["trials"][1]["architecture"]
    assert record["trials"][0]["seconds"] > 0


def test_the_full_space_decides_about_the_loss_and_the_augmentation_too(store, config, tmp_path, caplog):
    run = tmp_path / "run"
    caplog.set_level(NOTE, "mindgap")
    record = search(store, out=run, config=config, space="full", searcher="random", trials=3, epochs=1)
    assert "blending of tones is left out: the store has no twins.bin" in caplog.messages
    assert len({trial["loss"] for trial in record["trials"]}) > 1
    for trial in record["trials"]:
        assert trial["state"] == "complete"
        assert trial["choices"] == {"loss": trial["loss"], "augment": trial["choices"]["augment"], "blend": False}
        assert trial["loss"].startswith(trial["training"]["mitigation"])
    caplog.clear()
    assert found(search(store, out=run, config=config, space="full", searcher="random", trials=3, epochs=1)) == found(
        record
    )
    assert not caplog.messages


def test_two_presets_are_two_runs(store, config, tmp_path):
    record = search(store, out=tmp_path / "run", config=config, preset="fair,acc", trials=1)
    assert set(record["presets"]) == {"fair", "acc"}
    for name, one in record["presets"].items():
        assert one == json.loads((tmp_path / "run" / name / "search.json").read_text())
    first, second = (record["presets"][name]["trials"][0] for name in ("fair", "acc"))
    assert (first["tokens"], first["accuracy"]) == (second["tokens"], second["accuracy"])
    assert second["reward"] == pytest.approx(0.8 * second["accuracy"] - 0.2 * second["unfairness"])


def test_candidates_that_cannot_be_trained_are_failed_trials_and_one_line_ends_the_search(store, tmp_path):
    """A learning rate of 10¹² makes every loss NaN."""
    config = write_tiny_config(
        tmp_path, trials=2, training={"precision": "fp32", "batch_size": 32, "lr": 1e12, "schedule": "paper"}
    )
    run = tmp_path / "run"
    for _ in range(2):
        with pytest.raises(RunError, match="none of 2 candidates was trained to the end"):
            search(store, out=run, config=config)
        state = status(run)["state"]
        assert state.startswith("no candidate could be trained; the same command ends with the same error")
        assert state.endswith("a larger --trials goes on")
    trials = json.loads((run / "search.json").read_text())["trials"]
    assert [trial["state"] for trial in trials] == ["failed", "failed"]
    assert all(trial["reason"] and trial["reward"] == -1.0 for trial in trials)


def test_a_store_that_was_changed_ends_the_search_in_one_line(store, config, tmp_path):
    run, other = tmp_path / "run", tmp_path / "store"
    shutil.copytree(store, other)
    search(other, out=run, config=config, trials=1)
    record = json.loads((other / "store.json").read_text())
    (other / "store.json").write_text(json.dumps(record | {"fingerprint": "changed"}))
    for trials in (1, 2):
        with pytest.raises(RunError, match=r"the store changed since: its fingerprint was .* now 'changed'") as error:
            search(other, out=run, config=config, trials=trials)
        assert "\n" not in str(error.value)
    worker = start_worker(Assignment(run), 0)
    assert worker.process.wait(timeout=300) == 2
    assert "error: " in worker.log.read_text().splitlines()[-1]
    assert "has fingerprint changed, the search began with" in worker.log.read_text().splitlines()[-1]
    assert worker.end().number in {0, 7}


def test_what_only_an_unfinished_candidate_needs_is_gone_at_the_end(store, config, tmp_path):
    run = tmp_path / "run"
    search(store, out=run, config=config, trials=1)
    left = run / "trials" / "0" / "7" / "checkpoint.pt"  # as of a worker killed between its result and its tidying
    left.parent.mkdir()
    left.touch()
    (left.parent / ".log.jsonl.123.tmp").touch()  # as of one killed while it wrote
    search(store, out=run, config=config, trials=2)
    assert not list(run.glob("trials/*/*/checkpoint.pt"))
    assert not list(run.rglob("*.tmp"))


def test_candidates_over_the_latency_limit_are_rejected_untrained_and_at_most_four_per_trial(
    store, config, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = tmp_path / "run"
    with pytest.raises(RunError, match="none of 8 candidates"):
        search(store, out=run, config=config, trials=2, max_latency_ms=1e-6)
    trials = json.loads((run / "search.json").read_text())["trials"]
    assert [trial["state"] for trial in trials] == ["rejected"] * 8
    assert all(trial["reason"].startswith("latency ") and trial["epochs"] == 0 for trial in trials)
    assert not (run / "trials").exists()
    assert len(list((tmp_path / "cache" / "mindgap").glob("latency-*.json"))) == 1


def test_after_the_budget_no_candidate_is_begun_and_the_search_ends(store, config, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(RunError, match=r"used up .* before a candidate was begun; raise --budget-hours") as error:
        search(store, out=run, config=config, budget_hours=1e-9)
    assert "loosen" not in str(error.value)
    assert status(run)["state"] == "the time was up before a candidate was trained; a larger --budget-hours goes on"
    assert len(search(store, out=run, config=config, budget_hours=1.0, trials=1)["trials"]) == 1


@pytest.mark.slow
def test_when_the_time_is_up_what_was_begun_is_finished(store, config, undisturbed, tmp_path):
    """A worker may begin a candidate between the driver's last look and the end; it is no half-trained record."""
    run = tmp_path / "run"
    search(store, out=run, config=config, trials=1)
    spent_s = 3600 * status(run)["hours_spent"]
    budget_hours = (spent_s + 45) / 3600  # on a busy machine the workers' start takes half of it
    record = search(store, out=run, config=config, trials=TRIALS, workers=2, budget_hours=budget_hours)
    assert {trial["state"] for trial in record["trials"]} <= {"complete", "rejected"}
    assert len(record["trials"]) > 1
    assert found(record) == found(undisturbed[1])[: len(record["trials"])]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "fare"}, "did you mean 'fair'"),
        ({"trials": 0}, "trials is 0"),
        ({"budget_hours": -1.0}, "budget_hours"),
        ({"searcher": "reinforcee"}, "did you mean 'reinforce'"),
        ({"searcher": "reinforcee", "preset": "fair,acc"}, "did you mean 'reinforce'"),
        ({"attribute": "sexx"}, "sex"),
        ({"space": "nowhere.toml"}, "no such search space file"),
        ({"ratios": "a=.9,b=.9"}, "sum to 1.8"),
    ],
)
def test_a_wrong_option_leaves_no_folder(store, config, tmp_path, options, message):
    with pytest.raises(MindgapError, match=message):
        search(store, out=tmp_path / "run", config=config, **options)
    assert not (tmp_path / "run").exists()


def test_too_few_groups_leave_no_folder_and_a_refused_force_leaves_the_old_run(store, config, tmp_path):
    strict = write_tiny_config(tmp_path, reward={"min_group": 1000})
    with pytest.raises(DataError, match="fewer than two groups"):
        search(store, out=tmp_path / "run", config=strict)
    assert not (tmp_path / "run").exists()
    record = search(store, out=tmp_path / "run", config=config, trials=1)
    with pytest.raises(DataError, match="fewer than two groups"):
        search(store, out=tmp_path / "run", config=strict, force=True)
    assert search(store, out=tmp_path / "run", config=config, trials=1) == record


def test_a_store_without_test_images_is_searched_and_its_test_figures_are_left_out(config, tmp_path):
    folder = write_tiny_store(tmp_path / "store")
    table = pd.read_parquet(folder / "table.parquet")
    table["split"] = table["split"].replace("test", "train")
    table.to_parquet(folder / "table.parquet")
    run = tmp_path / "run"
    record = search(folder, out=run, config=config, trials=1)
    metrics = json.loads((run / "metrics.json").read_text())
    assert (metrics["test"], metrics["test_reads"]) == (None, 0)
    shown = "\n".join(finished_lines(run, record))
    assert "validation (the store has no test split), n = 60" in shown
    assert "the network was chosen on the validation split, so these figures look better than they are" in shown
    assert metrics["validation"]["n"] == 60
    assert "The test split was not evaluated" in (run / "report.html").read_text()
    assert set(pd.read_parquet(run / "predictions.parquet")["split"]) == {"validation"}


def test_a_plan_of_another_version_is_one_line(store, config, tmp_path):
    run = tmp_path / "run"
    search(store, out=run, config=config, trials=1)
    ledger = Ledger(ledger_url(run))
    ledger.note("plan", ledger.notes()["plan"] | {"preset": None})
    ledger.close()
    with pytest.raises(RunError, match=r"does not fit this version of mindgap \(at preset\)"):
        search(store, out=run, config=config, trials=2)


def test_groups_may_have_commas_in_their_names(config, tmp_path):
    folder = write_tiny_store(tmp_path / "store")
    names = {"a": "Asian, other", "b": "b=c"}
    table = pd.read_parquet(folder / "table.parquet")
    table["sex"] = table["sex"].map(names)
    table.to_parquet(folder / "table.parquet")
    record = json.loads((folder / "store.json").read_text())
    for group in record["attributes"]["sex"]["groups"]:
        group["name"] = names[group["name"]]
    (folder / "store.json").write_text(json.dumps(record))
    (trial,) = search(folder, out=tmp_path / "run", config=config, trials=1)["trials"]
    assert (trial["state"], set(trial["ratios"])) == ("complete", set(names.values()))


def test_the_status_of_nothing_is_one_line(tmp_path):
    with pytest.raises(RunError, match="there is no ledger"):
        status(tmp_path)
