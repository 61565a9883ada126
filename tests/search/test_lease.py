from __future__ import annotations

import subprocess
import sys
import time

import psutil
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.search.lease import Lease, SilenceWatch


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


def test_one_process_is_told_from_others_of_its_number():
    mine = Lease.current()
    assert mine.is_same(Lease.current())
    for other in ({"started": mine.started + 100}, {"space": "pid:[1]"}, {"host": "b"}, {"boot": "b"}, {"pid": 1}):
        assert not mine.is_same(mine.model_copy(update=other)), other


def test_a_watch_that_is_told_to_forget_meanwhile_goes_on():
    """A heartbeat's thread tells it to, while another asks who is silent."""
    watch = SilenceWatch(1.0)

    class Beats(dict):
        def items(self):
            for pair in super().items():
                watch.forget()
                yield pair

    assert watch.silent(Beats({1: "a", 2: "b"})) == set()
    assert watch.silent({1: "a", 2: "b"}) == set()


def test_nothing_survives_a_reboot():
    assert Lease.current().model_copy(update={"boot": "another"}).is_dead()


def test_another_host_cannot_be_judged_from_here():
    assert not Lease(host="elsewhere", boot="another", pid=1, started=0.0).is_dead()


def test_setting_the_clock_kills_nobody(monkeypatch):
    """The start of a process is counted from the boot; in the time of day it would move when the clock is set."""
    mine = Lease.current()
    monkeypatch.setattr(psutil, "boot_time", lambda: 0.0)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert Lease.current() == mine
    assert not mine.is_dead()


def test_a_process_number_of_another_container_says_nothing():
    other = Lease.current().model_copy(update={"space": "pid:[1]", "started": 1.0})
    assert not other.can_be_seen()
    assert not other.is_dead()


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    stamps=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=30),
    pauses=st.lists(st.floats(0.0, 10.0), min_size=30, max_size=30),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_who_beats_is_never_silent_whatever_the_clocks_show(stamps, pauses):
    """Stamps may go forwards, back and leap; only one that stands still for longer than the grace is silence."""
    clock = Clock()
    watch = SilenceWatch(20.0, clock)
    for number, (stamp, pause) in enumerate(zip(stamps, pauses, strict=False)):
        assert watch.silent({1: (number, stamp)}) == set()
        clock.now += pause


def test_a_heartbeat_that_stands_still_for_longer_than_the_grace_is_silence():
    clock = Clock()
    watch = SilenceWatch(20.0, clock)
    assert watch.silent({1: "12:00:00", 2: "12:00:00"}) == set(), "nobody is judged at first sight"
    clock.now = 15.0
    assert watch.silent({1: "12:00:00", 2: "11:00:15"}) == set()
    clock.now = 21.0
    assert watch.silent({1: "12:00:00", 2: "11:00:15"}) == {1}


def test_after_the_database_was_away_everybody_has_time_to_beat():
    clock = Clock()
    watch = SilenceWatch(20.0, clock)
    watch.silent({1: "12:00:00"})
    clock.now = 100.0
    watch.forget()
    assert watch.silent({1: "12:00:00"}) == set()
    clock.now = 121.0
    assert watch.silent({1: "12:00:00"}) == {1}
