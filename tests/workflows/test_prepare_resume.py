from __future__ import annotations

import contextlib
import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from mindgap.core.errors import RunError
from mindgap.data.decode_worker import DONE, PROGRESS
from mindgap.workflows.prepare import prepare

ROWS = 1000

SCRIPT = """
import sys
from mindgap.workflows.prepare import prepare
images, metadata, out = sys.argv[1:]
prepare(images=images, metadata=metadata, out=out, id="id", label="dx", attributes="sex", size=32, workers={})
"""


@pytest.fixture
def source(tmp_path):
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for row in range(ROWS):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((200, 150)).save(tmp_path / "images" / f"{row}.jpg")
    (tmp_path / "images" / "3.jpg").write_bytes(b"x")
    with (tmp_path / "table.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [["id", "dx", "sex"], *([row, "ab"[row % 2], "fm"[row // 2 % 2]] for row in range(ROWS))]
        )
    return tmp_path


def build(source, **options):
    plain = {
        "images": source / "images",
        "metadata": source / "table.csv",
        "out": source / "store",
        "id": "id",
        "label": "dx",
        "attributes": "sex",
        "size": 32,
        "workers": 1,
    }
    return prepare(**plain | options)


def start(source, workers, **pipes):
    arguments = [str(source / "images"), str(source / "table.csv"), str(source / "store")]
    return subprocess.Popen([sys.executable, "-c", SCRIPT.format(workers), *arguments], **pipes)


def done(source):
    path = source / ".store.partial" / "progress.bin"
    return int((np.fromfile(path, dtype=PROGRESS)["status"] == DONE).sum()) if path.exists() else 0


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_half_way_the_same_call_goes_on(source, workers):
    process = start(source, workers)
    deadline = time.monotonic() + 60
    while done(source) < ROWS // 4 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (source / "store").exists()
    time.sleep(0.3)
    before = done(source)
    assert ROWS // 4 <= before < ROWS
    first_done = np.flatnonzero(
        np.fromfile(source / ".store.partial" / "progress.bin", dtype=PROGRESS)["status"] == DONE
    )
    for row in first_done[first_done < 100]:
        (source / "images" / f"{row}.jpg").write_bytes(b"gone: a row that is whole is not decoded again")
    record = build(source)
    assert record["dropped"] == {"unreadable": 1}
    assert sorted(path.name for path in source.iterdir()) == ["images", "store", "table.csv"]


def test_a_resumed_store_equals_an_undisturbed_one(source):
    process = start(source, 2)
    while done(source) < ROWS // 3:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    resumed = build(source)
    undisturbed = build(source, out=source / "other")
    assert resumed == undisturbed
    assert (source / "store" / "images.bin").read_bytes() == (source / "other" / "images.bin").read_bytes()


def test_decoders_end_with_the_process_that_started_them(source):
    process = start(source, 2)
    while done(source) < 64:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline, seen = time.monotonic() + 60, time.monotonic()
    while time.monotonic() - seen < 3 and time.monotonic() < deadline:  # one may only just be starting
        if decoders(source):
            seen = time.monotonic()
        time.sleep(0.05)
    assert not decoders(source)


def decoders(source):
    """Ids of living processes that hold files of the unfinished store open."""
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and str(source) in maps_of(pid)]


def maps_of(pid):
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def test_other_options_do_not_take_over_an_unfinished_store(source):
    process = start(source, 1)
    while done(source) < 64:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(RunError, match="size=32, now 16"):
        build(source, size=16)
    assert build(source, size=16, force=True)["size_px"] == 16


def test_two_at_once_do_not_build_the_same_store(source):
    process = start(source, 1)
    while done(source) < 64:
        time.sleep(0.005)
    for force in (False, True):
        with pytest.raises(RunError, match=r"\.store\.partial: another mindgap process"):
            build(source, force=force)
    assert process.wait() == 0
    assert build(source)["n"] == ROWS - 1
    assert sorted(path.name for path in source.iterdir()) == ["images", "store", "table.csv"]


def test_what_appears_at_the_place_of_the_store_meanwhile_is_not_replaced(source):
    process = start(source, 1)
    while done(source) < 64:
        time.sleep(0.005)
    (source / "store").mkdir()
    (source / "store" / "thesis.txt").write_text("mine", encoding="utf-8")
    assert process.wait() == 1
    assert [path.name for path in (source / "store").iterdir()] == ["thesis.txt"]


def test_decoders_that_are_killed_again_and_again_end_it_and_the_same_call_goes_on(source):
    process = start(source, 2, stderr=subprocess.PIPE, text=True)
    while done(source) < 64:
        time.sleep(0.005)
    while process.poll() is None:
        for pid in set(decoders(source)) - {str(process.pid)}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.01)
    last = process.communicate()[1].strip().splitlines()[-1]
    assert "DecoderDied" in last
    assert "(exit -9, killed)" in last
    assert 64 <= done(source) < ROWS
    assert build(source)["n"] == ROWS - 1


def test_a_terminated_call_says_nothing(source):
    process = start(source, 2, stderr=subprocess.PIPE, text=True)
    while done(source) < 64:
        time.sleep(0.005)
    process.terminate()
    assert process.communicate()[1] == ""
    assert build(source)["n"] == ROWS - 1
