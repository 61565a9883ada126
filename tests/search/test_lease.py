from __future__ import annotations

import subprocess
import sys
import time

from mindgap.search.lease import Lease


def test_this_process_is_alive():
    assert not Lease.current().is_dead()


def test_a_process_that_ended_is_dead_even_before_its_parent_takes_notice():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lease = Lease.of(child.pid)
    assert not lease.is_dead()
    child.kill()
    deadline = time.monotonic() + 5
    while not lease.is_dead() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert lease.is_dead()
    child.communicate()
    assert lease.is_dead()


def test_a_reused_process_number_is_another_process():
    mine = Lease.current()
    assert mine.model_copy(update={"started": mine.started - 100}).is_dead()


def test_nothing_survives_a_reboot():
    assert Lease.current().model_copy(update={"boot": "another"}).is_dead()


def test_another_host_cannot_be_judged_from_here():
    assert not Lease(host="elsewhere", boot="another", pid=1, started=0.0).is_dead()
