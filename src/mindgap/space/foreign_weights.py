"""Weights of the same network written by another library, mapped onto ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mindgap.core.errors import DataError
from mindgap.space.network import Network

CLASSIFIER = "classifier"
SAFETENSORS = ".safetensors"
NOT_LEARNT = "num_batches_tracked"


def load_foreign_weights(network: Network, path: Path | str) -> tuple[str, ...]:
    """Loads torchvision's or timm's weights of the same network; a classifier for other classes is left as drawn.

    Args:
        network: a built network; its weights are replaced.
        path: a ``.pt``/``.pth`` state dict (read without executing anything in it), or our own ``.safetensors``.

    Returns:
        Names of our tensors that were left as drawn: the classifier's or none.

    Raises:
        DataError: the file is missing, damaged, or holds another network.
    """
    mapped = map_weights(network, read_weights(path), source=str(path))
    missing = network.load_state_dict(mapped, strict=False).missing_keys
    return tuple(name for name in missing if not name.endswith(NOT_LEARNT))


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """Reads a state dict of tensors, unwrapping a ``state_dict`` or ``model`` entry.

    Raises:
        DataError: the file is missing, damaged, or holds anything but tensors.
    """
    try:
        if Path(path).suffix == SAFETENSORS:
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: cannot read the weights ({reason}); give a file of tensors only") from None
    for wrapper in ("state_dict", "model"):
        if isinstance(tensors, dict) and isinstance(tensors.get(wrapper), dict):
            tensors = tensors[wrapper]
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise DataError(f"{path}: holds something else than named tensors; give a state dict")
    return dict(tensors)


def map_weights(network: Network, tensors: Mapping[str, Tensor], *, source: str = "weights") -> dict[str, Tensor]:
    """Renames foreign tensors to ours: by name if they are ours, else layer by layer in order of definition.

    torchvision, timm and we define the layers of these networks in the same order. A safetensors file forgets the
    order, so only our own names can be read from one.

    Raises:
        DataError: the layers differ in number, kind or shape.
    """
    ours, theirs = _by_layer(network.state_dict()), _by_layer(tensors)
    if set(ours) == set(theirs):
        theirs = {layer: theirs[layer] for layer in ours}
    elif source.endswith(SAFETENSORS):
        raise DataError(f"{source}: names of another library, whose order this file has lost; give a .pt state dict")
    if len(ours) != len(theirs):
        raise DataError(
            f"{source}: {len(theirs)} layers with weights, the network has {len(ours)}; give its own weights"
        )
    mapped: dict[str, Tensor] = {}
    for (layer, own), (foreign, given) in zip(ours.items(), theirs.items(), strict=True):
        odd = [name for name in own if name != NOT_LEARNT and _shape(own, name) != _shape(given, name)]
        if odd and layer == CLASSIFIER and given["weight"].shape[1:] == own["weight"].shape[1:]:
            continue
        if odd:
            raise DataError(
                f"{source}: {foreign}.{odd[0]} is {_shape(given, odd[0])}, {layer}.{odd[0]} needs "
                f"{_shape(own, odd[0])}; give this network's weights"
            )
        mapped |= {f"{layer}.{name}": given[name] for name in own if name in given}
    return mapped


def _by_layer(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    layers: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        layer, _, leaf = name.rpartition(".")
        layers.setdefault(layer, {})[leaf] = tensor
    return layers


def _shape(layer: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(layer[name].shape) if name in layer else None
