"""Run folders: what was asked, with what, and whether it is finished."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from mindgap.core.config import dump_toml, read_toml
from mindgap.core.errors import CapacityError, RunError
from mindgap.core.files import jsonable, read_json, write_json, write_text

State = Literal["new", "resumed", "finished"]
_PACKAGES = ("mindgap", "torch", "numpy", "scipy", "pandas", "optuna", "Pillow")


@dataclass(frozen=True)
class RunFolder:
    """A folder that holds one run of one verb.

    Attributes:
        path: the folder.
        state: ``new`` (nothing was there), ``resumed`` (the same run, unfinished) or ``finished`` (the same, done).
    """

    path: Path
    state: State

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        verb: str,
        options: Mapping[str, Any],
        force: bool = False,
        changeable: frozenset[str] = frozenset(),
    ) -> RunFolder:
        """Opens or creates the folder of a run.

        Args:
            path: the folder; it may hold an earlier run of the same verb with the same options.
            verb: name of the command.
            options: all resolved options, as plain TOML values; None is left out.
            force: replaces whatever run is there.
            changeable: options that may differ from the earlier run's, such as the number of workers.

        Raises:
            RunError: the folder holds another run, other options, or something that is not a run.
            CapacityError: the folder cannot be written.
        """
        folder = Path(path)
        asked = _plain({"verb": verb, "options": dict(options)})
        if force and folder.exists():
            _remove_run(folder)
        state = _existing_state(folder, asked, changeable)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CapacityError(
                f"{folder}: cannot create the folder ({error.strerror}); choose another --out"
            ) from None
        write_text(folder / "config.toml", dump_toml(asked))
        if state == "new":
            write_json(folder / "provenance.json", provenance(seed=options.get("seed")) | {"finished": None})
        return cls(folder, state)

    def record(self, **extra: object) -> None:
        """Adds entries to ``provenance.json``."""
        path = self.path / "provenance.json"
        write_json(path, read_json(path) | jsonable(extra))

    def finish(self, **extra: object) -> None:
        """Marks the run as finished; call it after everything else is written."""
        self.record(**extra, finished=_now())

    def reopen(self) -> None:
        """Marks a finished run as unfinished again, as when a search is given more trials."""
        self.record(finished=None)


def provenance(*, seed: int | None = None, fingerprint: str | None = None) -> dict[str, Any]:
    """What a result depends on besides its options: versions, seed, code, hardware, data, time."""
    return {
        "started": _now(),
        "seed": seed,
        "fingerprint": fingerprint,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "git": _git_state(),
        "hardware": {"machine": platform.machine(), "processor": _processor(), "cores": os.cpu_count()},
        "platform": platform.platform(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(dump_toml(jsonable(values)))


def _existing_state(folder: Path, asked: dict[str, Any], changeable: frozenset[str]) -> State:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return "new"
    if not folder.is_dir():
        raise RunError(f"{folder}: is a file, not a folder; choose another --out")
    if not (folder / "config.toml").exists() or not (folder / "provenance.json").exists():
        raise RunError(f"{folder}: is not empty and holds no mindgap run; choose another --out")
    earlier = read_toml(folder / "config.toml")
    if earlier.get("verb") != asked["verb"]:
        raise RunError(
            f"{folder}: holds a run of {earlier.get('verb')!r}; choose another --out, or --force to replace it"
        )
    old, new = earlier.get("options", {}), asked["options"]
    for key in sorted(set(old) | set(new)):
        if key not in changeable and old.get(key) != new.get(key):
            raise RunError(
                f"{folder}: was run with {key}={old.get(key)!r}, now {new.get(key)!r}; "
                "choose another --out, or --force to replace it"
            )
    return "finished" if read_json(folder / "provenance.json").get("finished") else "resumed"


def _remove_run(folder: Path) -> None:
    if folder.is_dir() and (not any(folder.iterdir()) or (folder / "config.toml").exists()):
        shutil.rmtree(folder)
        return
    raise RunError(f"{folder}: holds no mindgap run, so --force does not replace it; choose another --out")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


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


def _git_state() -> dict[str, Any] | None:
    """Commit of the mindgap checkout this code runs from; None when it was installed from a wheel."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        call = ["git", "-C", str(here), *arguments]
        return subprocess.run(call, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "changed": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None
