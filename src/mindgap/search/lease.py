"""Who works on a trial: a process that others on the same host can see to be alive or dead."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from mindgap.core.config import StrictModel

_PROC = Path("/proc")
_SAME_START_S = 2.0
_BOOT_ID = _PROC / "sys/kernel/random/boot_id"


class Lease(StrictModel):
    """Identity of a worker process.

    Attributes:
        host: name of the machine.
        boot: identity of the machine's current uptime; a reboot ends every process.
        pid: process number.
        started: when the process started, in seconds since the boot where the system tells (Linux), else since the
            epoch, so that a reused number is told apart. Setting the clock does not change it.
        space: the space in which the number holds; containers on one machine have their own.
    """

    host: str
    boot: str
    pid: int
    started: float
    space: str = ""

    @classmethod
    def current(cls) -> Lease:
        """The lease of this process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Lease:
        """The lease of a process of this host.

        Raises:
            psutil.NoSuchProcess: there is none of that number.
        """
        return cls(host=socket.gethostname(), boot=_boot(), pid=pid, started=_start(pid), space=_space())

    def is_here(self) -> bool:
        """Whether the process runs, or ran, on this host."""
        return self.host == socket.gethostname()

    def can_be_seen(self) -> bool:
        """Whether this process can tell if that one lives: same host, same uptime, same space of process numbers."""
        return self.is_here() and self.boot == _boot() and self.space == _space()

    def is_dead(self) -> bool:
        """True if this host can tell that the process is gone; False if it lives or runs elsewhere."""
        if not self.is_here() or (self.boot == _boot() and self.space != _space()):
            return False
        return self.boot != _boot() or not self._is_running()

    def is_stopped(self) -> bool:
        """True if this process can see that the process was stopped (SIGSTOP, Ctrl-Z) and does nothing."""
        return self._status() == psutil.STATUS_STOPPED

    def is_held(self) -> bool:
        """True if the process can neither work nor is quite gone: it is stopped, or not reaped."""
        return self.is_stopped() or self.is_unreaped()

    def is_unreaped(self) -> bool:
        """True if the process has ended, but whoever started it, who will know why, has not looked yet."""
        return self._status() == psutil.STATUS_ZOMBIE

    def is_same(self, other: Lease) -> bool:
        """Whether both are the same process: a number alone is used again, and containers have numbers of their own."""
        mine, theirs = ((one.host, one.boot, one.space, one.pid) for one in (self, other))
        return mine == theirs and abs(self.started - other.started) < _SAME_START_S

    def _status(self) -> str | None:
        try:
            return psutil.Process(self.pid).status() if self.can_be_seen() else None
        except psutil.Error:
            return None

    def _is_running(self) -> bool:
        try:
            return (
                abs(_start(self.pid) - self.started) < _SAME_START_S
                and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True


@dataclass
class SilenceWatch:
    """Tells whose heartbeats have stood still for some time.

    The time is this process's own, which setting a clock does not change, and the heartbeats' stamps are only compared
    for being the same: clocks that jump, or differ between hosts, make nobody look silent.

    Attributes:
        grace_s: how long a heartbeat may stand still.
        clock: seconds of this process; a suspended machine's time need not count.
    """

    grace_s: float
    clock: Callable[[], float] = time.monotonic
    _since: dict[int, tuple[object, float]] = field(default_factory=dict)

    def silent(self, beats: Mapping[int, object]) -> set[int]:
        """Those that have shown the same heartbeat for longer than the grace; others than the given are forgotten."""
        now, before = self.clock(), self._since  # which another thread may replace, but does not change
        seen = {
            row: known if (known := before.get(row, (None, now)))[0] == beat else (beat, now)
            for row, beat in beats.items()
        }
        self._since = seen
        return {row for row, (_, since) in seen.items() if now - since > self.grace_s}

    def forget(self) -> None:
        """Begins anew: when the database was away, nobody could beat."""
        self._since = {}


def _start(pid: int) -> float:
    """When a process started; on Linux counted from the boot, because the time of day may be set meanwhile."""
    if not (_PROC / "self/stat").exists():
        return psutil.Process(pid).create_time()
    try:
        fields = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    except PermissionError:
        raise psutil.AccessDenied(pid) from None
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _boot() -> str:
    """Empty where the system has no name for it; a process is then told by its start in the time of day."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _space() -> str:
    try:
        return os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return ""
