"""What is timed once on a machine and then remembered, so that no result depends on the machine's load.

The answer to a question is kept in a cache file. Without one that can be written, everything works and is timed anew.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import torch

from mindgap.core.cache import cache_folder
from mindgap.core.config import StrictModel
from mindgap.core.errors import CapacityError
from mindgap.core.files import write_new_text

WAY = 4  # of timing; raise it when a timing means something else than before, so that remembered ones are not taken
ModelT = TypeVar("ModelT", bound=StrictModel)


@contextmanager
def one_thread() -> Generator[None]:
    """Computes with one thread, as a search's workers do, while the block lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def remembered(kind: str, question: str, model: type[ModelT], *, measure: Callable[[], ModelT]) -> ModelT:
    """The answer to a question as it was first measured on this machine with this many threads.

    Args:
        kind: what is measured, the first word of the cache file's name.
        question: all that the answer depends on besides the machine and the versions.
        model: what the answer is.
        measure: finds the answer if it is not remembered.
    """
    machine = f"{platform.node()} {platform.machine()} {torch.__version__} {torch.backends.cpu.get_cpu_capability()}"
    machine += f" {torch.get_num_threads()} threads, mindgap {version('mindgap')}, way {WAY}"
    digest = hashlib.blake2b(f"{machine}\n{question}".encode(), digest_size=12).hexdigest()
    path = cache_folder() / f"{kind}-{digest}.json"
    if path.exists():
        found = _read(path, model)
        if found is not None:
            return found
        with suppress(OSError):
            path.unlink()  # it is damaged
    measured = measure()
    with suppress(CapacityError):
        write_new_text(path, measured.model_dump_json())
    return _read(path, model) or measured  # of two processes that measured at once, both take the first one's answer


def _read(path: Path, model: type[ModelT]) -> ModelT | None:
    try:
        return model.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, not text, or not such a record
        return None
