"""One worker process: its environment, its log, and the pipe by which it sees that whoever started it is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mindgap.core.cache import cache_folder
from mindgap.search.lease import Lease
from mindgap.search.placement import Assignment, WorkerEnd

ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    # Freed tensors stay with the process: 1.03 to 1.3 times faster, and free.
    **dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(2**30)),
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it cuBLAS need not give the same result twice
}


@dataclass
class WorkerProcess:
    """A worker's process and its log.

    Attributes:
        number: of the worker.
        process: the process.
        lease: who it is; of the ledger's attempts those with the same host, boot and pid are its own.
        log: its output.
    """

    number: int
    process: subprocess.Popen[bytes]
    lease: Lease
    log: Path

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def end(self) -> WorkerEnd:
        """Waits for the process, which has ended or was told to, and closes the pipe to it."""
        status = self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        return WorkerEnd(self.number, status, last_line(self.log), str(self.log), self.lease)


def start_worker(assignment: Assignment, number: int, *, environment: Mapping[str, str] | None = None) -> WorkerProcess:
    """Starts one worker process; it ends when this process does."""
    log = worker_log(assignment, number)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mindgap.search.worker", *assignment.arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=os.environ | ONE_THREAD | dict(assignment.environment) | dict(environment or {}),
            process_group=0,  # Ctrl-C in a terminal reaches the driver alone
        )
    return WorkerProcess(number, process, Lease.of(process.pid), log)


def worker_log(assignment: Assignment, number: int) -> Path:
    """Where a worker writes: in the folder of the search, or in the cache of a machine that does not see it."""
    return (assignment.run if assignment.run.is_dir() else cache_folder()) / "workers" / f"{number}.log"


def last_line(log: Path) -> str:
    """The last line of a worker's log."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "nothing in its log"
