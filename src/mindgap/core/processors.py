"""How much of the machine a process may use."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count() -> int:
    """Threads to compute with: ``OMP_NUM_THREADS``, which torch obeys, or all available cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) else available_cores()
