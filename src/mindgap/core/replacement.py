"""Replacing a folder: what was there is set aside, comes back where the work fails, and is deleted where it does not.

Nothing is deleted but what the call itself set aside, and, of what a killed call left, the folder of a mindgap run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from mindgap.core.config import read_toml
from mindgap.core.errors import CapacityError, ConfigError, RunError
from mindgap.core.files import is_occupied
from mindgap.core.folder_lock import folder_lock

CONFIG, PROVENANCE = "config.toml", "provenance.json"
IsFree = Callable[[Path], bool]


def is_empty(place: Path) -> bool:
    """Whether nothing would be lost at a place: nothing is there, or an empty folder."""
    return not is_occupied(place)


def holds_config(folder: Path) -> bool:
    """Whether a folder has the ``config.toml`` of a mindgap run."""
    try:
        return set(read_toml(folder / CONFIG)) == {"verb", "options"}
    except ConfigError:
        return False


@contextmanager
def replaced(place: Path, *, is_free: IsFree = is_empty) -> Generator[None]:
    """Renames the folder at a place to ``.NAME.old`` while the block puts another there, and deletes it at the end.

    Where the block fails, it comes back, unless something that may not go is there meanwhile. Other processes are kept
    out of it, so that none takes it for what a killed call left.

    Args:
        place: a folder, or a link to one: then the link alone is replaced.
        is_free: whether what the block left at the place may go.

    Raises:
        RunError: another process works in the folder, or ``.NAME.old`` is somebody's own.
        CapacityError: the folder cannot be renamed.
    """
    end_killed_replacement(place, is_free=is_free)
    aside = _aside(place)
    if aside.is_symlink() or is_occupied(aside):
        raise RunError(f"{aside}: is in the way and holds no mindgap run; move it away, or choose another folder")
    with folder_lock(place):
        _rename(place, aside, place)
        try:
            yield
        except BaseException:
            if is_free(place):
                _bring_back(aside, place)
            raise
        _delete(aside)


def put_in_place(folder: Path, target: Path, *, replace: bool) -> None:
    """Renames a finished folder to its place; see ``replaced`` for what is there.

    At any moment the place holds a whole folder or none, also where the deletion of what was there is cut short.

    Args:
        folder: what to put there, on the same file system.
        target: the place.
        replace: whether what is there may go.

    Raises:
        RunError: something is there that may not go, or another process works in it.
        CapacityError: a folder cannot be renamed; what was there is there still.
    """
    replaces = is_occupied(target)
    if replaces and not replace:
        raise RunError(f"{target}: appeared meanwhile; choose another folder, or --force to replace it")
    with replaced(target) if replaces else nullcontext():
        try:
            folder.rename(target)
        except OSError as error:
            raise CapacityError(
                f"{target}: cannot be put in place ({error.strerror}); check its permissions, or choose another folder"
            ) from None


def end_killed_replacement(place: Path, *, is_free: IsFree = is_empty) -> None:
    """Ends what a killed ``replaced`` left: what it set aside comes back where its place is free, else it is deleted.

    One whose deletion had begun is deleted to its end.

    Args:
        place: the place, links resolved.
        is_free: whether what is at the place may go.

    Raises:
        RunError: another process is replacing the folder now.
        CapacityError: it cannot be brought back.
    """
    aside = _aside(place)
    if not holds_config(aside):
        return
    with folder_lock(aside):
        if (aside / PROVENANCE).exists() and is_free(place):
            _bring_back(aside, place)
        else:
            _delete(aside)


def _aside(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


def _bring_back(aside: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    _rename(aside, place, place)


def _rename(folder: Path, target: Path, place: Path) -> None:
    try:
        folder.rename(target)
    except OSError as error:
        raise CapacityError(
            f"{place}: cannot be replaced ({error.strerror}); check its permissions, or choose another folder"
        ) from None


def _delete(folder: Path) -> None:
    """Deletes a folder, or a link to one.

    First goes what makes it a run that may come back, last what shows whose it is, so that a deletion that is cut short
    can be ended.
    """
    if folder.is_symlink():
        folder.unlink()
        return
    with suppress(OSError):
        (folder / PROVENANCE).unlink()
    for path in [path for path in folder.iterdir() if path.name != CONFIG]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
    shutil.rmtree(folder, ignore_errors=True)
