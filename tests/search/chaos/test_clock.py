"""Clocks that jump make nobody look dead, and nobody who is silent look alive."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import create_engine, update

from mindgap.search.lease import Lease
from mindgap.search.ledger import GRACE, Ledger, Wanted, create_ledger
from mindgap.search.ledger_address import LedgerAddress
from mindgap.search.ledger_rows import BEATS, TRIALS

ELSEWHERE = Lease(host="elsewhere", boot="another", pid=1, started=0.0)
HOUR_S = 3600


@pytest.fixture
def ledger(url):
    create_ledger(url, {GRACE: 1.0})
    ledger = Ledger(url)
    yield ledger
    ledger.close()


def shift(url, *, seconds):
    """Sets all times in the ledger as if they had been written by a clock that was off by so much."""
    from datetime import datetime, timedelta

    engine = create_engine(LedgerAddress.parse(url).database)
    then = datetime.now() + timedelta(seconds=seconds)
    with engine.begin() as connection:
        connection.execute(update(BEATS).values(heartbeat=then))
        connection.execute(update(TRIALS).values(datetime_start=then))
    engine.dispose()


@pytest.mark.parametrize("seconds", [-HOUR_S, HOUR_S])
@pytest.mark.parametrize("lease", [ELSEWHERE, Lease.current()], ids=["elsewhere", "here"])
def test_a_clock_that_jumps_an_hour_makes_no_worker_look_dead(url, ledger, seconds, lease):
    mine = ledger.claim(Wanted(0, (1, 2)), lease=lease)
    ledger.end_lost()
    shift(url, seconds=seconds)
    ledger.end_lost()
    assert ledger.slots()[0].state == "running"
    ledger.beat(mine)
    ledger.end_lost()
    ledger.complete(mine, result={"reward": 0.5}, values=(0.8, 0.1, 1.0))
    (slot,) = ledger.slots()
    assert (slot.state, slot.seconds >= 0) == ("complete", True)


@pytest.mark.parametrize("seconds", [-HOUR_S, HOUR_S])
def test_a_silent_worker_is_given_up_after_the_grace_whatever_its_clock_says(url, ledger, seconds):
    ledger.claim(Wanted(0, (1, 2)), lease=ELSEWHERE)
    shift(url, seconds=seconds)
    until = time.monotonic() + 60
    while ledger.slots()[0].state == "running" and time.monotonic() < until:
        ledger.end_lost()
        time.sleep(0.05)
    assert ledger.slots()[0].last.ending == "lost"
