"""Penultimate features of a store's rows, computed once with a trained network and kept in a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import RunError, TrainingFailure
from mindgap.core.files import atomic_path
from mindgap.data.augment import normalize
from mindgap.data.image_store import Store
from mindgap.space.network import Network
from mindgap.train.inference import InferenceNetwork
from mindgap.train.memory import keep_freed_memory
from mindgap.train.modes import Mode, is_narrow
from mindgap.train.trained_model import TrainedModel, weights_digest

Features = NDArray[np.float32]
LAYER = "penultimate"


def cached_features(
    model: TrainedModel,
    store: Store,
    rows: NDArray[np.int64],
    *,
    folder: Path,
    name: str,
    modes: Sequence[Mode] | None = None,
    batch_size: int = 256,
    on_batch: Callable[[int], None] = lambda _: None,
) -> Features:
    """The features of some rows, read from ``folder/features-NAME-KEY.npy`` where they are there already.

    The key is a digest of the run's weights and architecture, the store's fingerprint, the rows, the layer, and how
    and on what device they are computed. A file of the same name and another key is of no use any more and deleted. A
    file is written to its end before it takes its name.

    Args:
        model: whose network's features they are; its classifier takes no part.
        store: the images.
        rows: int64 (n,), which of them, in that order.
        folder: of the run that tunes.
        name: of the rows, such as ``validation``.
        modes: how each part is computed, such as ``model.modes``, which is what None means.
        batch_size: images at a time.
        on_batch: told the number of images of every batch that is done.

    Returns:
        float32 (n, F), a copy-on-write memory map.

    Raises:
        RunError: the network predicts by more than itself, or there is no row.
        TrainingFailure: a feature is NaN or infinite.
        CapacityError: the folder cannot be written.
    """
    network = _plain_network(model)
    if not len(rows):
        raise RunError(f"{store.path}: no rows of {name} to compute features of; prepare it with some")
    modes = model.modes if modes is None else tuple(modes)
    key = _key(model, store, rows, modes, next(network.parameters()).device)
    path = folder / f"features-{name}-{key}.npy"
    kept = _read(path, len(rows))
    if kept is None:
        batches = _computed(network, model, store, rows, modes=modes, batch_size=batch_size)
        _write(path, batches, n=len(rows), on_batch=on_batch)
        kept = np.load(path, mmap_mode="c")
    for other in folder.glob(f"features-{name}-*.npy"):
        if other != path:
            with suppress(OSError):
                other.unlink()
    return kept


def feature_tensor(features: Features, device: torch.device | str = "cpu") -> Tensor:
    """The same numbers where heads are judged; on the CPU nothing is read or copied yet."""
    return torch.from_numpy(features).to(device)


def _plain_network(model: TrainedModel) -> Network:
    if model.kept is not None or type(model.network) is not Network:
        told = "by more than itself" if model.kept is None else f"with the mitigation {model.kept.name!r}"
        raise RunError(f"{model.path}: its network predicts {told}; heads are tuned of a network that predicts alone")
    return model.network


def _key(
    model: TrainedModel, store: Store, rows: NDArray[np.int64], modes: Sequence[Mode], device: torch.device
) -> str:
    parts = {
        "layer": LAYER,
        "weights": weights_digest(model.path),
        "architecture": model.architecture.to_json(),
        "store": store.fingerprint,
        "rows": hashlib.sha256(np.ascontiguousarray(rows, dtype=np.int64).tobytes()).hexdigest(),
        "modes": list(modes),
        "device": device.type,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _read(path: Path, n: int) -> Features | None:
    """What is kept there; None if nothing is, or nothing that can be used."""
    try:
        kept = np.load(path, mmap_mode="c")
    except (OSError, ValueError, EOFError):
        return None
    fits = isinstance(kept, np.memmap) and kept.dtype == np.float32 and kept.ndim == 2 and len(kept) == n
    return kept if fits else None


def _computed(
    network: Network,
    model: TrainedModel,
    store: Store,
    rows: NDArray[np.int64],
    *,
    modes: Sequence[Mode],
    batch_size: int,
) -> Iterator[Features]:
    """Features of one batch after the other, normalised and computed as in predicting."""
    keep_freed_memory()
    fast = InferenceNetwork(network, modes)
    device, chosen = next(network.parameters()).device, model.architecture
    dtype = torch.bfloat16 if is_narrow(modes[0]) else torch.float32
    images = store.image_tensor()
    for chunk in torch.from_numpy(np.ascontiguousarray(rows)).split(batch_size):
        with torch.inference_mode():  # not around the yield: it would reach whoever takes the batches
            shown = images.index_select(0, chunk).to(device)
            batch = normalize(shown, mean=chosen.mean, std=chosen.std, dtype=dtype)
            features = fast.features(batch).cpu().numpy()
        if not np.isfinite(features).all():
            raise TrainingFailure("the trained network's features are NaN; lower the learning rate")
        yield features


def _write(path: Path, batches: Iterator[Features], *, n: int, on_batch: Callable[[int], None]) -> None:
    """Writes batches one after the other, so that a full disk is an error and not a signal."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        for number, batch in enumerate(batches):
            if number == 0:
                header = {"descr": "<f4", "fortran_order": False, "shape": (n, batch.shape[1])}
                np.lib.format.write_array_header_1_0(file, header)
            batch.tofile(file)
            on_batch(len(batch))
