"""The benchmark of what mitigations cost per step."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "mitigation_overhead.py"


@pytest.mark.slow
def test_it_times_methods_with_a_teacher_and_with_a_last_step_too(tmp_path):
    names = ["fairprune", "mfd"]
    small = ("--px", "32", "--steps", "1", "--rounds", "2", "--methods", ",".join(names))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *small, "--json", str(tmp_path / "figures.json")],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    methods = json.loads((tmp_path / "figures.json").read_text())["methods"]
    assert list(methods) == names
    for found in methods.values():
        assert len(found["step_ms"]) == len(found["erm_step_ms"]) == 2
        assert 0 < found["least"] <= found["ratio"] <= found["most"]
    assert methods["fairprune"]["finish_seconds"] > 0
    assert "fairprune, after the last epoch, once: " in done.stdout
