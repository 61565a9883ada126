"""A search on a real Ray of this machine, whose workers and driver are killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from mindgap.core.errors import CapacityError, ConfigError, RunError
from mindgap.search.ledger import Ledger
from mindgap.search.placement import make_placement
from mindgap.search.placements.ray import show_token
from mindgap.search.worker import ledger_url
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.workflows.search import search

ray = pytest.importorskip("ray", reason="Ray is not installed")
CALL = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from mindgap.workflows.search import search
store, out, config, placement = sys.argv[1:]
search(store, out=out, config=config, workers=2, placement=placement)
"""


def found(record):
    names = ("slot", "tokens", "state", "architecture", "ratios", "reward", "accuracy", "unfairness", "epochs")
    return [{name: trial[name] for name in names} for trial in record["trials"]]


def start(store, run, config, placement="ray"):
    command = [sys.executable, "-c", CALL, *map(str, (store, run, config, placement))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(run, condition, *, driver, seconds=600):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert driver.poll() is None, driver.communicate()[1]
        with suppress(RunError):
            ledger = Ledger(ledger_url(run))
            slots = ledger.slots()
            ledger.close()
            if condition(slots):
                return slots
        time.sleep(0.1)
    raise AssertionError("the search does not get on")


def at_work(slots):
    return [slot.last.lease.pid for slot in slots if slot.state == "running"]


def settled(slots):
    return sum(slot.settled for slot in slots)


def ray_worker_of(pid):
    """The Ray worker beside a worker process, its parent."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).ppid()
    return None


def gone(pid, *, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_killed_ray_workers_and_a_killed_driver_lose_nothing_and_nobody_sees_ray(tmp_path):
    store, config = write_tiny_store(tmp_path / "store"), write_tiny_config(tmp_path, trials=12)
    whole = search(store, out=tmp_path / "whole", config=config)
    run = tmp_path / "run"
    driver = start(store, run, config)
    killed = 0
    for wanted in (2, 4):
        slots = wait_for(run, lambda slots, wanted=wanted: settled(slots) >= wanted and at_work(slots), driver=driver)
        parent = ray_worker_of(at_work(slots)[0])
        if parent is not None and parent != 1:
            os.kill(parent, signal.SIGKILL)
            killed += 1
    slots = wait_for(run, lambda slots: settled(slots) >= 6 and at_work(slots), driver=driver)
    left = at_work(slots)
    driver.kill()
    _, errors = driver.communicate()
    assert killed
    assert errors == ""
    assert all(gone(pid) for pid in left), "workers end with their driver"
    again = start(store, run, config)
    _, errors = again.communicate(timeout=900)
    assert (again.returncode, errors) == (0, "")
    record = search(store, out=run, config=config, workers=2, placement="ray")
    assert found(record) == found(whole)
    weights = [folder / "weights.safetensors" for folder in (run, tmp_path / "whole")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.slow
def test_ctrl_c_parks_what_is_in_work_on_ray(tmp_path):
    store, config, run = write_tiny_store(tmp_path / "store"), write_tiny_config(tmp_path, trials=500), tmp_path / "run"
    driver = start(store, run, config)
    wait_for(run, lambda slots: settled(slots) >= 1 and at_work(slots), driver=driver)
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=300)
    assert driver.returncode
    assert errors.strip().splitlines()[-1] == "KeyboardInterrupt"
    ledger = Ledger(ledger_url(run))
    attempts = [attempt for slot in ledger.slots() for attempt in slot.attempts]
    ledger.close()
    assert all(attempt.finished for attempt in attempts)
    assert {attempt.ending for attempt in attempts} <= {None, "parked"}


def test_a_cluster_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    placement = make_placement("ray://auto", {})
    with pytest.raises(CapacityError, match=r"the cluster ray://auto: Ray cannot be reached") as raised:
        placement.check(workers=1, on_one_host=True)
    assert "\n" not in str(raised.value)


def test_a_cluster_elsewhere_needs_rays_client(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "grpc" else name)
    said = r"needs grpcio, .*pip install 'mindgap\[cluster\]', or run the command on a machine of the cluster"
    with pytest.raises(ConfigError, match=said):
        make_placement("ray://head:10001", {}).check(workers=1, on_one_host=False)


@pytest.mark.parametrize(
    ("set_before", "token_file", "mode"),
    [
        ({}, False, None),
        ({}, True, "token"),
        ({"RAY_AUTH_TOKEN": "x"}, False, "token"),
        ({"RAY_AUTH_MODE": "disabled"}, True, "disabled"),
    ],
)
def test_rays_client_sends_a_token_only_if_the_user_has_one(monkeypatch, tmp_path, set_before, token_file, mode):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)
    for name, value in set_before.items():
        monkeypatch.setenv(name, value)
    if token_file:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("x")
    show_token()
    assert os.environ.get("RAY_AUTH_MODE") == mode


@pytest.fixture
def cluster(tmp_path_factory):
    """A Ray cluster of this machine that nobody's driver began, with a client server; its address."""
    pytest.importorskip("grpc", reason="Ray's client needs grpcio")
    folder, (port, client) = tmp_path_factory.mktemp("r"), free_ports(2)
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}", "--num-cpus=2",
        f"--ray-client-server-port={client}", "--include-dashboard=false", "--disable-usage-stats",
        f"--object-store-memory={2**27}",
    ]  # fmt: skip
    log = (folder / "log").open("w")
    head = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        host = ray.util.get_node_ip_address()
        wait_for_port(host, client)
        yield f"ray://{host}:{client}"
    finally:
        children = psutil.Process(head.pid).children(recursive=True)
        head.terminate()
        _, living = psutil.wait_procs([psutil.Process(head.pid), *children], timeout=30)
        for process in living:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        head.wait()
        log.close()


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for_port(host, port, *, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((host, port), timeout=1):
            return
        time.sleep(0.2)
    raise AssertionError("the cluster does not begin")


@pytest.mark.slow
def test_a_cluster_reached_through_rays_client_loses_nothing_with_its_driver(tmp_path, cluster):
    store, config = write_tiny_store(tmp_path / "store"), write_tiny_config(tmp_path, trials=8)
    whole = search(store, out=tmp_path / "whole", config=config)
    run = tmp_path / "run"
    driver = start(store, run, config, cluster)
    slots = wait_for(run, lambda slots: settled(slots) >= 3 and at_work(slots), driver=driver)
    left = at_work(slots)
    driver.kill()
    driver.communicate()
    assert all(gone(pid) for pid in left), "workers end with their driver"
    again = start(store, run, config, cluster)
    _, errors = again.communicate(timeout=900)
    assert (again.returncode, errors) == (0, "")
    record = search(store, out=run, config=config)
    assert found(record) == found(whole)


def test_the_log_of_a_ray_worker_is_in_the_folder_of_the_search(tmp_path):
    from mindgap.search.placement import Assignment
    from mindgap.search.placements.ray import HostedWorker

    worker = HostedWorker(Assignment(tmp_path), 4)
    end = worker.run()
    assert (end.number, end.status, Path(end.log)) == (4, 2, tmp_path / "workers" / "4.log")
    assert "there is no ledger" in end.last_line


def test_a_ray_worker_that_is_parked_before_it_began_does_not_begin(tmp_path):
    from mindgap.search.placement import Assignment
    from mindgap.search.placements.ray import HostedWorker

    worker = HostedWorker(Assignment(tmp_path), 0)
    worker.park()
    assert worker.run().status == 0
    assert not (tmp_path / "workers").exists()
