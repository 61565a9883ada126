"""Who works on a trial: a process that others on the same host can see to be alive or dead."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil

from mindgap.core.config import StrictModel

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Lease(StrictModel):
    """Identity of a worker process.

    Attributes:
        host: name of the machine.
        boot: identity of the machine's current uptime; a reboot ends every process.
        pid: process number.
        started: when the process started, in seconds since the epoch, so that a reused number is told apart.
    """

    host: str
    boot: str
    pid: int
    started: float

    @classmethod
    def current(cls) -> Lease:
        """The lease of this process."""
        return cls(host=socket.gethostname(), boot=_boot(), pid=os.getpid(), started=psutil.Process().create_time())

    def is_here(self) -> bool:
        """Whether the process runs, or ran, on this host, which can then tell whether it lives."""
        return self.host == socket.gethostname()

    def is_dead(self) -> bool:
        """True if this host can tell that the process is gone; False if it lives or runs elsewhere."""
        if not self.is_here():
            return False
        return self.boot != _boot() or not self._is_running()

    def _is_running(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started) < 2 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True


def _boot() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))
