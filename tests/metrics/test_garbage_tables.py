"""Gigabytes that are no predictions: one line in seconds and with little memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest

TEXT = "id,label,prob_a,prob_b,sex\np,a,0.25,0.75,f\nq,b,0.5,0.5,m\nr,a,1,0,f\n"

GARBAGE = """
import resource, sys, time
from mindgap.core.errors import DataError
from mindgap.metrics.predictions import read_predictions
before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    read_predictions(sys.argv[1], attributes=("sex",))
except DataError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.process_time() - begin, error)
"""


def refused_alone(path):
    """KiB of memory, seconds of processor time and the line of a refusal in a process of its own."""
    done = subprocess.run([sys.executable, "-c", GARBAGE, path], capture_output=True, text=True, check=True)
    memory_kib, seconds, message = done.stdout.split(" ", maxsplit=2)
    return int(memory_kib), float(seconds), message


@pytest.mark.parametrize("head", [b"", b"p,0.5,0.5,0.5,m\n" * 20_000], ids=["at once", "after good rows"])
def test_a_large_file_of_words_for_probabilities_is_refused_in_seconds_and_little_memory(tmp_path, head):
    path = tmp_path / "predictions.csv"
    lines = b"x,y,z,w,m\n" * 4 + b"x,y,z,w\n"
    path.write_bytes(b"id,label,prob_a,prob_b,sex\n" + head + lines * ((60 << 20) // len(lines)))
    memory_kib, seconds, message = refused_alone(path)
    assert message == (f"{path}: id 'x': prob_a is empty or no number; probabilities must lie in [0, 1], not 'z'\n")
    assert memory_kib < 150 << 10
    assert seconds < 3


@pytest.mark.parametrize(
    "kind",
    ["zeros", "random", "one line", "header and zeros", "header and random", "header and text", "rows and zeros"],
)
def test_two_gigabytes_of_garbage_are_refused_in_seconds_and_little_memory(tmp_path, kind):
    path, size = tmp_path / "predictions.csv", 2 << 30
    noise = np.random.default_rng(0).integers(1, 256, size=16 << 20, dtype=np.uint8).tobytes()
    text = noise.translate(bytes(b"abcdefgh,\n"[k % 10] for k in range(256)))
    start = {
        "zeros": b"", "random": noise, "one line": b"x" * (16 << 20), "header and zeros": TEXT.encode(),
        "header and random": TEXT.encode() + noise.replace(b"\0", b"x"), "header and text": TEXT.encode() + text,
        "rows and zeros": (TEXT + TEXT[TEXT.index("\n") + 1 :] * 100_000).encode(),
    }  # fmt: skip
    path.write_bytes(start[kind])
    os.truncate(path, size)  # the rest is a hole, which takes no room on disk
    begin = time.monotonic()
    memory_kib, _, message = refused_alone(path)
    assert message.startswith(f"{path}: not a table (")
    assert message.count("\n") == 1
    assert memory_kib < 200 << 10
    assert time.monotonic() - begin < 15
