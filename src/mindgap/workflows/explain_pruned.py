"""Where the channels that a pruning removed had looked, beside those that it kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mindgap.core.errors import ConfigError
from mindgap.core.files import read_json
from mindgap.core.notes import note
from mindgap.core.progress import progress
from mindgap.data.classifier_facts import ClassifierFacts
from mindgap.data.image_store import Store
from mindgap.explain.explained_network import ExplainedNetwork
from mindgap.explain.explainers.grad_cam import GradCam
from mindgap.explain.focus_of_channels import focus_of_removed
from mindgap.explain.focus_records import FocusOptions
from mindgap.explain.store_focus import channels_on_rows
from mindgap.space.network import Network
from mindgap.train.trained_model import TrainedModel, read_trained_model, weights_digest
from mindgap.workflows.explain_record import without_masks

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class BeforePruning:
    """The network that a pruned run was made of, and what it lost.

    Attributes:
        network: from before the pruning, in evaluation mode.
        removed: layer → numbers of its removed channels, as they are counted in that network.
    """

    network: Network
    removed: Mapping[str, tuple[int, ...]]


def before_pruning(model: TrainedModel) -> BeforePruning | None:
    """What a run of ``prune`` began with; None of another run, if it removed nothing, and, noted, if it is gone."""
    if not (model.path / "prune.json").is_file():
        return None
    record = read_json(model.path / "prune.json")
    kept = record["iterations"][1 : record["kept"] + 1]
    removed = {
        layer: tuple(channel for step in kept for channel in step["removed"][layer]) for layer in record["layers"]
    }
    place = Path(record["run"])
    if not kept:
        return None
    if not place.is_dir() or weights_digest(place) != model.options.get("weights_digest"):
        note(log, f"{place}: the run that was pruned is not there as it was; its removed channels are not looked at")
        return None
    return BeforePruning(read_trained_model(place).network, removed)


def pruned_record(
    network: Network,
    removed: Mapping[str, Sequence[int]],
    *,
    facts: ClassifierFacts,
    store: Store,
    rows: NDArray[np.int64],
    device: torch.device,
    options: FocusOptions,
    batch_size: int = 64,
) -> dict[str, Any]:
    """Compares, layer by layer, the focus of removed channels with that of kept ones.

    It is what ``explain.json`` holds as ``pruned``.

    Args:
        network: from before the pruning, in evaluation mode.
        removed: layer → numbers of its removed channels, as they are counted in that network.
        facts: which images the network takes.
        store: of images and masks.
        rows: int64 (n,), n ≥ 1, which of them.
        device: where it is computed.
        options: how intervals and floors are made.
        batch_size: images at a time.

    Returns:
        layer → what ``focus_of_removed`` returns, and ``channels``, how many it has in all.

    Raises:
        ConfigError: the network has no such layer or channel.
    """
    found: dict[str, Any] = {}
    for layer, channels in removed.items():
        explained = ExplainedNetwork.of(
            network, GradCam(layer=layer), facts=facts, classes=store.classes, device=device
        )  # fmt: skip
        with progress(len(rows), f"channels of {layer}") as bar:
            focus = channels_on_rows(explained, store, rows, batch_size=batch_size, on_batch=bar.advance)
        is_removed = _is_removed(channels, focus.values.shape[1], layer=layer)
        record = focus_of_removed(focus, is_removed, clusters=store.clusters[rows], options=options)
        record |= {"channels": len(is_removed)}
        found[layer] = record if store.masks is not None else without_masks(record)
    return found


def _is_removed(channels: Sequence[int], count: int, *, layer: str) -> NDArray[np.bool_]:
    numbers = np.unique(np.array(channels, dtype=np.int64))
    if len(numbers) and not 0 <= int(numbers[0]) <= int(numbers[-1]) < count:
        raise ConfigError(
            f"layer {layer!r} has the channels 0..{count - 1}, and {numbers[0]}..{numbers[-1]} are said to be pruned; "
            "give the network from before the pruning"
        )
    found = np.zeros(count, dtype=np.bool_)
    found[numbers] = True
    return found
