"""What is SQLite's own: the file, its side files, small disks."""

from __future__ import annotations

import contextlib
import gc
import sqlite3

import psutil
import pytest
import sqlalchemy

from mindgap.core.errors import CapacityError, RunError
from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger, Wanted, create_ledger


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def claim(ledger, slot=0, *, tokens=(1, 2)):
    return ledger.claim(Wanted(slot, tokens), lease=Lease.current())


def test_a_missing_ledger_is_one_line(url):
    with pytest.raises(RunError, match="there is no ledger"):
        Ledger(url)


def test_a_database_without_a_search_is_one_line(tmp_path):
    sqlite3.connect(tmp_path / "empty.db").close()
    (tmp_path / "empty.db").touch()
    with pytest.raises(RunError, match="holds no search"):
        Ledger(f"sqlite:///{tmp_path / 'empty.db'}")


def test_a_new_ledger_is_whole_when_it_appears_and_an_old_one_is_left_alone(url, tmp_path):
    create_ledger(url, {"plan": {"seed": 3}})
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.db"], "no journal beside it that it would need"
    create_ledger(url, {"plan": {"seed": 4}})
    ledger = Ledger(url)
    assert ledger.notes() == {"plan": {"seed": 3}}
    ledger.close()


def test_a_ledger_that_could_not_be_made_leaves_nothing(url, tmp_path, monkeypatch):
    def full(*_, **__):
        raise sqlalchemy.exc.OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))

    (tmp_path / ".ledger.db.17.tmp-wal").touch()
    monkeypatch.setattr(sqlalchemy.orm.Session, "add_all", full)
    with pytest.raises(CapacityError, match="disk is full") as error:
        create_ledger(url, {})
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def refusal(action):
    """What a refused write says, one line; None if it was written. No trace of it keeps the disk in use."""
    said = None
    try:
        action()
    except CapacityError as error:
        said = str(error)
    gc.collect()
    assert said is None or ("free space" in said and "\n" not in said)
    return said


@pytest.mark.parametrize("free_kib", [16, 64, 128, 136, 144, 152, 160, 256])
def test_a_disk_too_small_for_the_ledger_is_one_line_and_never_half_a_ledger(small_disk, free_kib):
    """At some sizes the tables fit and the plan does not; a ledger that is there is whole."""
    url = f"sqlite:///{small_disk / 'ledger.db'}"
    (small_disk / "filler").write_bytes(bytes((256 - free_kib) * 1024))
    said = refusal(lambda: create_ledger(url, {"plan": "x" * 20_000}))
    assert (said is None) == (small_disk / "ledger.db").exists()
    if free_kib in {16, 256}:
        assert (said is None) == (free_kib == 256)
    if said is None:
        reader = Ledger(url, read_only=True)
        assert len(reader.notes()["plan"]) == 20_000
        reader.close()
    else:
        assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_a_full_disk_is_one_line_whatever_is_written(small_disk):
    url = f"sqlite:///{small_disk / 'ledger.db'}"
    create_ledger(url, {})
    ledger = Ledger(url)
    mine = claim(ledger)
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(1024))
    writes = [
        lambda: claim(ledger, 1, tokens=(1,) * 5000),
        lambda: ledger.reject(1, (1,) * 5000, result={}),
        lambda: ledger.end(mine.row, "parked", detail="x" * 20_000),
        lambda: ledger.complete(mine, result={"text": "x" * 20_000}, values=(0.5, 0.1, 1.0)),
        lambda: ledger.note("plan", "x" * 20_000),
    ]
    for write in writes:
        assert "the ledger cannot be written" in refusal(write)
    (small_disk / "filler").unlink(missing_ok=True)
    assert ledger.slots()[0].state == "running"
    ledger.close()


def test_a_reader_changes_nothing_and_can_read_what_it_may_not_write(url, tmp_path):
    create_ledger(url, {"plan": 1})
    writer = Ledger(url)
    writer.note("more", 2)
    writer.close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    reader = Ledger(url, read_only=True)
    assert (reader.notes(), reader.slots()) == ({"plan": 1, "more": 2}, [])
    with pytest.raises(CapacityError, match=r"cannot be written .*readonly"):
        reader.note("plan", 2)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before, "no lock file of another user's"
    reader.close()


def test_a_file_on_a_network_file_system_is_refused_by_whoever_writes(url, tmp_path, monkeypatch):
    create_ledger(url, {})
    kind = file_system_of(tmp_path)
    monkeypatch.setattr("mindgap.search.local_disk.NETWORK", frozenset({kind}))
    for use in (lambda: Ledger(url), lambda: create_ledger(f"sqlite:///{tmp_path / 'new.db'}", {})):
        with pytest.raises(RunError, match=rf"lies on a network file system \({kind}\).*choose a local disk"):
            use()
    assert not (tmp_path / "new.db").exists()
    Ledger(url, read_only=True).close()


def file_system_of(folder):
    """The kind of file system the folder is on, whatever it is."""
    mounts = [(part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True)]
    over = [(point, kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(over, key=lambda mount: len(mount[0]))[1]
