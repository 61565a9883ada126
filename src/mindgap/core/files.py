"""Files and folders that are either whole or not there: all is written to a temporary name, then renamed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import CapacityError, DataError


@contextmanager
def atomic_path(path: Path | str) -> Generator[Path]:
    """Gives a temporary path beside the target; on success it is flushed to disk and renamed, on failure removed.

    Raises:
        CapacityError: the folder cannot be written (no permission, no space).
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CapacityError(f"{target}: cannot write ({reason}); free space or choose another place") from error
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def is_occupied(place: Path) -> bool:
    """Whether something would be lost if another folder took this place: anything but an empty folder."""
    return place.exists() and not (place.is_dir() and not any(place.iterdir()))


@contextmanager
def no_new_parents_on_failure(path: Path) -> Generator[None]:
    """Where the block fails, removes the folders above the path that were not there before and are empty."""
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        yield
    except BaseException:
        for folder in missing:  # the innermost comes first
            with suppress(OSError):
                folder.rmdir()
        raise


def write_text(path: Path | str, text: str) -> None:
    """Writes a UTF-8 text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_new_text(path: Path | str, text: str) -> None:
    """Writes a UTF-8 text file atomically; one that is there stays as it is.

    Raises:
        CapacityError: the folder cannot be written, or has no links.
    """
    target = Path(path)
    new = target.with_name(f".{target.name}.{os.getpid()}.new")
    write_text(new, text)
    try:
        with suppress(FileExistsError):
            os.link(new, target)
    except OSError as error:
        raise CapacityError(f"{target}: cannot write ({error.strerror}); choose another place") from error
    finally:
        _remove(new)


def write_json(path: Path | str, record: object) -> None:
    """Writes a JSON file atomically; NaN must already be None (see ``jsonable``).

    Raises:
        ValueError: the record holds NaN or infinity.
    """
    write_text(path, json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Reads a JSON file.

    Raises:
        DataError: the file is missing or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot read the file ({error.strerror}); check the path") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid JSON ({error}); the file is damaged or of another kind") from None


def jsonable(value: object) -> Any:
    """Turns NumPy scalars and arrays, tuples and paths into plain JSON values; NaN and infinity become None."""
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        return {str(key): jsonable(item) for key, item in mapping.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in cast("list[object]", value)]
    if isinstance(value, np.ndarray):
        return jsonable(cast("NDArray[Any]", value).tolist())
    if isinstance(value, np.generic):
        return jsonable(cast("np.generic[Any]", value).item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
