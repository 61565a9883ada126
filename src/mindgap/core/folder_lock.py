"""One process at a time in a folder: a lock that dies with its process and leaves no file behind."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from mindgap.core.errors import CapacityError, RunError

LOCK_FILE = ".run.lock"
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP})
log = logging.getLogger(__name__)


@contextmanager
def folder_lock(folder: Path) -> Generator[None]:
    """Keeps other processes out of an existing folder while the block lasts.

    The folder may be renamed meanwhile. Where the file system has no locks, work goes on with a warning.

    Raises:
        RunError: another process works in the folder.
        CapacityError: the folder cannot be written.
    """
    place = _open(folder, folder)
    try:
        lock = _lock(place, folder)
        try:
            yield
        finally:
            with suppress(OSError):
                os.unlink(LOCK_FILE, dir_fd=place)
            os.close(lock)
    finally:
        os.close(place)


def _lock(place: int, folder: Path) -> int:
    """The descriptor of the locked file; of one that was removed before it was locked, the next one is taken."""
    while True:
        lock = _open(LOCK_FILE, folder, place=place)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                log.warning("%s: cannot be locked (%s); start no second run there", folder, error.strerror)
                return lock
            os.close(lock)
            raise RunError(
                f"{folder}: another mindgap process is writing here; wait for it to end, or choose another folder"
            ) from None
        if _is_in_place(lock, place):
            return lock
        os.close(lock)


def _is_in_place(lock: int, place: int) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), os.stat(LOCK_FILE, dir_fd=place))
    except FileNotFoundError:
        return False


def _open(path: Path | str, folder: Path, *, place: int | None = None) -> int:
    """Opens the folder itself, or, in a place, the lock file."""
    flags = os.O_RDONLY | os.O_DIRECTORY if place is None else os.O_RDWR | os.O_CREAT
    try:
        return os.open(path, flags, 0o666, dir_fd=place)
    except OSError as error:
        raise CapacityError(f"{folder}: cannot write there ({error.strerror}); choose another folder") from None
