"""Ctrl-C drains without overshoot; a second one stops at once; a driver that was stopped goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest

from mindgap.core.errors import MindgapError
from mindgap.testing.chaos import read_slots
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store

ENOUGH_S = 240


@contextmanager
def searching(tmp_path, *, images):
    """A search whose candidates take very long, and its folder."""
    store = write_tiny_store(tmp_path / "store", n=images)
    config = write_tiny_config(tmp_path, epochs=500, trials=4, rungs="none")
    # tests that run in the background of a shell are deaf to Ctrl-C, and so would be what they start
    call = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    call += "from mindgap.cli.main import main; main()"
    command = [sys.executable, "-c", call, "search", store, "--out", tmp_path / "run", "--config", config]
    driver = subprocess.Popen([*map(str, command), "--workers", "2"], stderr=subprocess.PIPE, text=True)
    try:
        yield driver, tmp_path / "run"
    finally:
        driver.kill()
        driver.communicate()


def at_work(run, *, epoch=1, workers=2):
    """The running attempts once all workers have done so many epochs."""
    until = time.monotonic() + ENOUGH_S
    while time.monotonic() < until:
        try:
            running = [slot.last for slot in read_slots(run) if slot.state == "running"]
        except MindgapError:  # before there is a ledger
            running = []
        if len(running) == workers and all(attempt.epoch >= epoch for attempt in running):
            return running
        time.sleep(0.02)
    raise AssertionError("nobody is at work")


def ended(driver):
    _, errors = driver.communicate(timeout=ENOUGH_S)
    assert driver.returncode == 130
    assert errors.splitlines()[-1] == "interrupted; run the same command again to go on"


def test_ctrl_c_ends_each_worker_at_the_end_of_its_epoch(tmp_path):
    with searching(tmp_path, images=2000) as (driver, run):
        before = at_work(run, epoch=1)
        driver.send_signal(signal.SIGINT)
        ended(driver)
        slots = read_slots(run)
    assert [slot.last.ending for slot in slots] == ["parked", "parked"], "nothing was begun"
    assert not any(psutil.pid_exists(attempt.lease.pid) for attempt in before)
    for slot in slots:
        log = run / "trials" / str(slot.number) / "1" / "log.jsonl"
        assert len(log.read_text().splitlines()) == slot.epoch < 500, "what is done is saved, and no more"


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once_and_a_driver_that_was_stopped_goes_on(tmp_path):
    with searching(tmp_path, images=60_000) as (driver, run):
        before = at_work(run, epoch=0)
        driver.send_signal(signal.SIGSTOP)
        time.sleep(1)
        driver.send_signal(signal.SIGCONT)
        driver.send_signal(signal.SIGINT)
        time.sleep(1)
        assert driver.poll() is None, "the workers end their epochs"
        driver.send_signal(signal.SIGINT)
        ended(driver)
        slots = read_slots(run)
    assert [(slot.last.ending, slot.epoch) for slot in slots] == [("parked", attempt.epoch) for attempt in before]
    assert not any(psutil.pid_exists(attempt.lease.pid) for attempt in before)
