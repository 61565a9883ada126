"""The benchmark of training on a GPU, where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu_training.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], check=False, capture_output=True, text=True, timeout=900
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so_in_one_line():
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: torch sees no GPU here; run this where there is one, or try it out by --device cpu\n"
    )


@pytest.mark.slow
def test_it_can_be_tried_out_on_a_cpu():
    small = ("--px", "32", "--images", "256", "--steps", "1", "--rounds", "1", "--processes", "1,2")
    done = run("--device", "cpu", *small)
    assert done.returncode == 0, done.stderr
    assert "on a CPU: figures say nothing on a GPU" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("P9: ")
