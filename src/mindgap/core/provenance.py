"""What a result depends on besides its options."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("mindgap", "torch", "numpy", "scipy", "pandas", "optuna", "Pillow")
_IF_INSTALLED = ("timm",)


def provenance(*, seed: int | None = None, fingerprint: str | None = None) -> dict[str, Any]:
    """What a result depends on besides its options: versions, seed, code, hardware, data, time."""
    return {
        "started": now(),
        "seed": seed,
        "fingerprint": fingerprint,
        "python": platform.python_version(),
        "packages": {
            name: _version(name) for name in (*_PACKAGES, *(more for more in _IF_INSTALLED if _version(more)))
        },
        "git": git_state(Path(__file__).resolve()),
        "hardware": {"machine": platform.machine(), "processor": _processor(), "cores": os.cpu_count()},
        "platform": platform.platform(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git_state(file: Path) -> dict[str, Any] | None:
    """Commit of the checkout that tracks a source file; None if none does, as after installing from a wheel."""

    def git(*arguments: str) -> str:
        call = ["git", "-C", str(file.parent), *arguments]
        return subprocess.run(call, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)
        return {
            "commit": git("rev-parse", "HEAD"),
            "changed": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
