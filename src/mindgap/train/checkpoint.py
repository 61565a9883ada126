"""Checkpoints: everything a run needs to go on as if it had never stopped."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch

from mindgap.core.errors import DataError, RunError
from mindgap.core.files import atomic_path

CHECKPOINT_FILE = "checkpoint.pt"
STEM_FILE = "stem.pt"  # of a run before its learning rate decays: longer runs go on from it
TEACHER = "teacher"  # the folder, within that of the checkpoint, of a plain network that a mitigation learns from


def save_checkpoint(folder: Path | str, state: dict[str, Any], *, name: str = CHECKPOINT_FILE) -> None:
    """Writes the state, whole or not at all.

    Args:
        folder: where the file goes; it replaces the one before.
        state: tensors, numbers, text, and lists and dicts of them.
        name: of the file.

    Raises:
        CapacityError: the folder cannot be written.
    """
    # Into memory first: on a full disk torch raises an error of its own that does not say so.
    content = io.BytesIO()
    torch.save(state, content)
    with atomic_path(Path(folder) / name) as temporary:
        temporary.write_bytes(content.getbuffer())


def load_checkpoint(folder: Path | str, *, run: str, name: str = CHECKPOINT_FILE) -> dict[str, Any] | None:
    """The state that was saved, or None if there is none.

    Read with ``weights_only``: a file cannot run code.

    Args:
        folder: where the file is.
        run: what the state must belong to, as ``run_keys`` gives it.
        name: of the file.

    Raises:
        DataError: the file is damaged.
        RunError: it belongs to another run.
    """
    path = Path(folder) / name
    if not path.exists():
        return None
    state = _read(path)
    if not isinstance(state, dict) or state.get("run") != run:
        raise RunError(f"{path}: is of a run with other data, network or settings; remove it or choose another folder")
    return state


def is_checkpoint(path: Path) -> bool:
    """Whether a file is a checkpoint that can be read."""
    try:
        return path.exists() and isinstance(_read(path), dict)
    except DataError:
        return False


def _read(path: Path) -> Any:
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, EOFError, LookupError, ValueError, pickle.UnpicklingError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: cannot read the checkpoint ({reason}); remove it to train anew") from None


def run_key(*parts: str) -> str:
    """A digest of what decides a run's result."""
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()
