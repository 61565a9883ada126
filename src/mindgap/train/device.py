"""Where training runs, and what memory it finds there."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor

from mindgap.core.errors import CapacityError
from mindgap.data.image_store import Store

_RESIDENT_SHARE = 0.4
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "std::bad_alloc")


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is a GPU if there is one.

    Raises:
        CapacityError: a GPU is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise CapacityError("device is 'cuda', and torch sees no GPU here; use auto or cpu")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


@contextmanager
def reproducible(device: str) -> Generator[None]:
    """Computes on a GPU what it would compute again, where its libraries can, while the block lasts.

    The processor needs nothing for that. An operation without such a form only warns.
    """
    if device != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before[0])
        torch.backends.cudnn.benchmark = before[1]


def image_tensor(store: Store, device: torch.device) -> Tensor:
    """All images, uint8 (N, S, S, 3): on the GPU if they take under 40 % of its free memory, else over the map."""
    images = store.image_tensor()
    return images.to(device) if device.type == "cuda" and fits_in_memory(images, device) else images


def fits_in_memory(images: Tensor, device: torch.device) -> bool:
    """Whether they take under 40 % of a GPU's free memory."""
    return images.nbytes < _RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the CPU or the GPU."""
    text = str(error).lower()
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(part in text for part in _OUT_OF_MEMORY)
