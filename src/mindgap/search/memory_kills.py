"""How many processes the kernel has killed for want of memory: what tells a greedy candidate from a ``kill -9``."""

from __future__ import annotations

from pathlib import Path


def memory_kills(root: Path = Path("/")) -> int | None:
    """Count of such kills in this process's control group, else on this machine; None where the system does not tell.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    files = [*_of_group(root), root / "proc/vmstat"]
    return next((count for count in map(_count, files) if count is not None), None)


def _of_group(root: Path) -> list[Path]:
    """The counters of this process's own group, of the second and of the first kind of control groups."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    mount = root / "sys/fs/cgroup"
    mount, files = root / "sys/fs/cgroup", []
    for _, kinds, path in (line.split(":", 2) for line in lines):
        if not kinds:
            files.append(mount / path.lstrip("/") / "memory.events")
        elif kinds == "memory":
            files.append(mount / "memory" / path.lstrip("/") / "memory.oom_control")
    return files


def _count(file: Path) -> int | None:
    try:
        pairs = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return None
    return next((int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == "oom_kill"), None)
