"""From a trained network to predictions."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import TrainingFailure
from mindgap.core.groups import Groups
from mindgap.data.augment import normalize
from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture
from mindgap.space.network import Network
from mindgap.train.inference import InferenceNetwork
from mindgap.train.memory import keep_freed_memory
from mindgap.train.mitigation import AbstractMitigation
from mindgap.train.modes import Mode, in_modes, is_narrow
from mindgap.train.precision import FP32


def predict_probabilities(
    network: Network,
    images: Tensor,
    rows: NDArray[np.int64],
    *,
    architecture: Architecture,
    task: str = "single-label",
    batch_size: int = 256,
    modes: Sequence[Mode] | None = None,
    mitigation: AbstractMitigation | None = None,
    groups: Groups | None = None,
    on_batch: Callable[[int], None] = lambda _: None,
) -> NDArray[np.float64]:
    """Probabilities of some images, without augmentation.

    Args:
        network: the network; it is put into evaluation mode and left there.
        images: uint8 (N, S, S, 3), such as ``Store.image_tensor()``.
        rows: int64 (n,), which of them.
        architecture: of the network.
        task: ``single-label`` takes the softmax, ``multi-label`` the sigmoid.
        batch_size: images at a time; it does not change the result beyond rounding.
        modes: how each part is computed, such as ``TrainResult.modes``; None is float32.
        mitigation: whose ``predict`` gives the logits; None calls the network.
        groups: over all N images, for a mitigation that uses them at test time.
        on_batch: told the number of images of every batch that is done.

    Returns:
        float64 (n, C).

    Raises:
        TrainingFailure: a probability is NaN.
    """
    keep_freed_memory()
    network.eval()
    device = next(network.parameters()).device
    modes = FP32.modes(architecture) if modes is None else modes
    dtype = torch.bfloat16 if is_narrow(modes[0]) else torch.float32
    parts: list[Tensor] = []
    with torch.inference_mode(), _prepared(network, modes, mitigation) as logits_of:
        for chunk in torch.from_numpy(rows).split(batch_size):
            chosen = images.index_select(0, chunk.to(images.device)).to(device)
            batch = normalize(chosen, mean=architecture.mean, std=architecture.std, dtype=dtype)
            logits = logits_of(batch, _group_ids(groups, chunk, device))
            parts.append(logits.double().sigmoid() if task == "multi-label" else logits.double().softmax(dim=1))
            on_batch(len(chunk))
    empty = torch.empty((0, architecture.num_classes), dtype=torch.float64)
    probabilities = torch.cat(parts).cpu().numpy() if parts else empty.numpy()
    if not np.isfinite(probabilities).all():
        raise TrainingFailure("the trained network predicts NaN; lower the learning rate")
    return probabilities


def accuracy(store: Store, rows: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Share of rows (multi-label: of labels) predicted rightly, in 0..1; NaN without a row."""
    labels = store.labels[rows]
    right = probabilities > 0.5 if labels.ndim == 2 else probabilities.argmax(axis=1)
    return float((right == labels).mean()) if len(rows) else float("nan")


@contextmanager
def _prepared(
    network: Network, modes: Sequence[Mode], mitigation: AbstractMitigation | None
) -> Generator[Callable[[Tensor, Tensor | None], Tensor]]:
    """What gives the logits of images and groups: a copy that predicts fast, unless a mitigation wants the network."""
    alone = mitigation is None or mitigation.predicts_by_network_alone()
    if alone and type(network) is Network and len(modes) == len(network.blocks) + 2:
        fast = InferenceNetwork(network, modes)
        yield lambda images, _: fast(images)
        return
    with in_modes(network, modes):
        yield (
            lambda images, groups: (
                network(images) if mitigation is None else mitigation.predict(network, images, groups)
            )
        )


def _group_ids(groups: Groups | None, rows: Tensor, device: torch.device) -> Tensor | None:
    return None if groups is None else torch.from_numpy(groups.ids).index_select(0, rows).to(device)
