"""A lesion U-Net in training, on disk after every epoch, so that a killed training goes on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

from mindgap.core.config import StrictModel, parse
from mindgap.core.errors import ConfigError, DataError, RunError
from mindgap.core.files import atomic_path

Weights = dict[str, Tensor]


class Progress(StrictModel):
    """How far a training is.

    Attributes:
        kind: of the file.
        task: digest of settings and rows, see ``task_digest``.
        epoch: that are done.
        epochs: that are planned.
        best: highest Jaccard on the validation images so far.
    """

    kind: Literal["mindgap lesion U-Net in training"] = "mindgap lesion U-Net in training"
    task: str
    epoch: int
    epochs: int
    best: float


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training between two epochs.

    Attributes:
        progress: how far it is.
        weights: of the network.
        kept: of its best epoch.
        moments: ``state_dict()["state"]`` of the optimizer: by number of the parameter, tensors by name.
    """

    progress: Progress
    weights: Weights
    kept: Weights
    moments: dict[int, Weights]


def task_digest(settings: str, *arrays: NDArray[Any]) -> str:
    """SHA-256 of what a training is made of; another digest is another training."""
    digest = hashlib.sha256(settings.encode())
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        for part in np.array_split(array, max(1, len(array) // 256)):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def write_checkpoint(path: Path, state: Checkpoint) -> None:
    """Writes a safetensors file in place of the one before.

    Raises:
        CapacityError: it cannot be written.
    """
    tensors = {f"weights/{name}": value for name, value in state.weights.items()}
    tensors |= {f"kept/{name}": value for name, value in state.kept.items()}
    tensors |= {
        f"moments/{number}/{name}": value for number, part in state.moments.items() for name, value in part.items()
    }
    whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with atomic_path(path) as temporary:
        # Not safetensors' save_file, whose error on a full disk is of its own kind.
        temporary.write_bytes(serialize(whole, metadata={"progress": state.progress.model_dump_json()}))


def read_checkpoint(path: Path, *, task: str) -> Checkpoint | None:
    """Reads it; None where there is none.

    Raises:
        DataError: it is no such file, or damaged.
        RunError: it is of another training.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            found = json.loads((file.metadata() or {}).get("progress", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no mapping)
        if not isinstance(found, dict) or "kind" not in found:
            raise ValueError("it is of another kind")
        progress = parse(Progress, found, source=str(path))
    except (OSError, SafetensorError, ValueError, ConfigError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: no U-Net in training ({reason}); delete it or name another file") from None
    if progress.task != task:
        raise RunError(f"{path}: holds a training with other settings or images; delete it or name another file")
    return _checkpoint(progress, tensors)


def _checkpoint(progress: Progress, tensors: Weights) -> Checkpoint:
    moments: dict[int, Weights] = {}
    for name, value in tensors.items():
        if name.startswith("moments/"):
            _, number, part = name.split("/")
            moments.setdefault(int(number), {})[part] = value
    return Checkpoint(progress, _under("weights/", tensors), _under("kept/", tensors), moments)


def _under(start: str, tensors: Weights) -> Weights:
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def restore(state: Checkpoint, network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Puts a network and its optimizer where they were."""
    network.load_state_dict(state.weights)
    optimizer.load_state_dict({"state": state.moments, "param_groups": optimizer.state_dict()["param_groups"]})
